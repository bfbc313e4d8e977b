/** The engine of a model that makes embeddings alone: texts of all requests share steps, and nothing is cached. */
import type { WorkerPool } from '../workers/pool.ts';
import type {
  EmbeddingDescription,
  Embeddings,
  EmbedOptions,
  Engine,
  EngineStats,
  Generation,
  ModelDescription,
  Prompt,
  Sessions,
} from './api.ts';
import { normalize, prepareInputs, requireDimensions } from './embedding-input.ts';
import type { EmbeddingRunner } from './encoder-runner.ts';
import { EngineTokenizer } from './engine-tokenizer.ts';
import { EngineError, toEngineError } from './errors.ts';
import { NO_SESSIONS } from './no-sessions.ts';
import { aborted, Preparation, shuttingDown } from './preparation.ts';

export interface EncoderEngineParts {
  readonly runner: EmbeddingRunner;
  readonly model: ModelDescription & { readonly embedding: EmbeddingDescription };
  readonly adapter: string;
  /** Goes behind texts. */
  readonly endTokenId: number | undefined;
  readonly workers: Pick<WorkerPool, 'prepare' | 'render' | 'decode' | 'pieces' | 'close'>;
  /** Most requests that wait or run. */
  readonly maxQueue?: number;
  /** Makes another runner after the device was lost. */
  readonly rebuild: () => Promise<EmbeddingRunner>;
}

/** One call of `embed`. */
interface Request {
  readonly dimensions: number | undefined;
  readonly embeddings: Float32Array[];
  /** Texts that no step has taken yet, and where their embeddings go. */
  readonly waiting: { readonly tokenIds: Uint32Array; readonly index: number }[];
  numMissing: number;
  finish(error?: EngineError): void;
}

interface Taken {
  readonly request: Request;
  readonly tokenIds: Uint32Array;
  readonly index: number;
}

const DEFAULT_MAX_QUEUE = 256;
const RETRY_AFTER_SECONDS = 5;

export class EncoderEngine implements Engine {
  readonly model: EncoderEngineParts['model'];
  readonly adapter: string;
  readonly sessions: Sessions = NO_SESSIONS;
  readonly tokenizer: EngineTokenizer;
  readonly #parts: EncoderEngineParts;
  readonly #preparation: Preparation;
  readonly #requests = new Set<Request>();
  readonly #totals = { promptTokens: 0, steps: 0, deviceLosses: 0 };
  #numEmbedding = 0;
  #numRunning = 0;
  /** Undefined between the loss of a device and its return. */
  #runner: EmbeddingRunner | undefined;
  #isClosing = false;
  #closed: Promise<void> | undefined;
  #wake: () => void = () => {};
  readonly #loop: Promise<void>;

  constructor(parts: EncoderEngineParts) {
    this.#parts = parts;
    this.model = parts.model;
    this.adapter = parts.adapter;
    this.#runner = parts.runner;
    this.#preparation = new Preparation(parts.workers);
    const { vocabularySize } = parts.model;
    this.tokenizer = new EngineTokenizer(this.#preparation, parts.workers, vocabularySize, parts.endTokenId);
    this.#loop = this.#run();
  }

  async generate(): Promise<Generation> {
    throw new EngineError(
      'not_supported',
      `the model '${this.model.id}' makes embeddings and no text: ask it at /v1/embeddings, or serve a model that generates`,
      { param: 'model' },
    );
  }

  async embed(prompts: readonly Prompt[], { dimensions, signal }: EmbedOptions): Promise<Embeddings> {
    requireDimensions(dimensions, this.model.embedding);
    this.#refuseWhenBusy();
    this.#numEmbedding++;
    try {
      const limits = { ...this.model, endTokenId: this.#parts.endTokenId };
      const inputs = await prepareInputs(this.#preparation, prompts, limits, signal);
      this.#preparation.refuseWhenOver(signal);
      const embeddings = inputs.length === 0 ? [] : await this.#compute(inputs, dimensions, signal);
      return { embeddings, promptTokens: inputs.reduce((sum, { length }) => sum + length, 0) };
    } finally {
      this.#numEmbedding--;
    }
  }

  async countTokens(prompt: Prompt): Promise<number> {
    return (await this.tokenizer.tokenize(prompt)).length;
  }

  stats(): EngineStats {
    return {
      ...this.#totals,
      running: this.#numRunning,
      waiting: this.#numEmbedding - this.#numRunning,
      kvBlocksTotal: 0,
      kvBlocksUsed: 0,
      kvBlocksCached: 0,
      cachedTokens: 0,
      completionTokens: 0,
      preemptions: 0,
      gpuBytes: this.#runner?.gpuBytes ?? 0,
      kvBlocksSaved: 0,
      kvBlocksRestored: 0,
      kvTrafficMs: 0,
      kvTiers: [],
      sessionFailures: 0,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#preparation.close();
    this.#failAll(shuttingDown());
    this.#wake();
    await this.#loop;
    await this.#runner?.close();
    this.#runner = undefined;
    await this.#parts.workers.close();
  }

  #compute(inputs: readonly Uint32Array[], dimensions: number | undefined, signal: AbortSignal) {
    return new Promise<Float32Array[]>((resolve, reject) => {
      const abort = (): void => request.finish(aborted());
      const request: Request = {
        dimensions,
        embeddings: [],
        waiting: inputs.map((tokenIds, index) => ({ tokenIds, index })),
        numMissing: inputs.length,
        finish: (error) => {
          this.#requests.delete(request);
          signal.removeEventListener('abort', abort);
          if (error) reject(error);
          else resolve(request.embeddings);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#requests.add(request);
      this.#wake();
    });
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      if (this.#requests.size === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      let taken: readonly Taken[] = [];
      try {
        this.#runner ??= await this.#rebuild();
        taken = this.#take(this.#runner.limits);
        if (taken.length > 0) await this.#step(this.#runner, taken);
      } catch (error) {
        await this.#recover(toEngineError(error), taken);
      }
      this.#numRunning = 0;
    }
  }

  /** The next step's texts: one of each request in turn, so that a large request does not hold up small ones. */
  #take({ maxTokens, maxSequences }: EmbeddingRunner['limits']): Taken[] {
    const taken: Taken[] = [];
    let room = maxTokens;
    let isFull = false;
    while (!isFull) {
      isFull = true;
      for (const request of this.#requests) {
        const [next] = request.waiting;
        if (next === undefined || next.tokenIds.length > room || taken.length === maxSequences) continue;
        request.waiting.shift();
        taken.push({ ...next, request });
        room -= next.tokenIds.length;
        isFull = false;
      }
    }
    this.#rotate();
    return taken;
  }

  /** Who was served first comes last in the next step. */
  #rotate(): void {
    const [first] = this.#requests;
    if (first === undefined) return;
    this.#requests.delete(first);
    this.#requests.add(first);
  }

  async #step(runner: EmbeddingRunner, taken: readonly Taken[]): Promise<void> {
    this.#numRunning = new Set(taken.map(({ request }) => request)).size;
    this.#totals.steps++;
    const sums = await runner.embed(taken.map(({ tokenIds }) => tokenIds));
    for (const [place, { request, tokenIds, index }] of taken.entries()) {
      if (!this.#requests.has(request)) continue;
      this.#totals.promptTokens += tokenIds.length;
      request.embeddings[index] = normalize(sums[place]!, request.dimensions);
      if (--request.numMissing === 0) request.finish();
    }
  }

  /** A failed step fails what was in it, and a device that does not come back fails all. */
  async #recover(error: EngineError, taken: readonly Taken[]): Promise<void> {
    if (this.#runner === undefined) {
      this.#failAll(error);
      return;
    }
    for (const { request } of taken) if (this.#requests.has(request)) request.finish(error);
    if (error.code !== 'device_lost') return;
    const lost = this.#runner;
    this.#runner = undefined;
    this.#totals.deviceLosses++;
    // What a lost device says when it is closed is of no use to anybody.
    await lost.close().catch(() => undefined);
  }

  async #rebuild(): Promise<EmbeddingRunner> {
    try {
      return await this.#parts.rebuild();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `the device was lost and could not be opened again: ${reason}`;
      throw new EngineError('device_lost', message, {}, { cause });
    }
  }

  #failAll(error: EngineError): void {
    for (const request of [...this.#requests]) request.finish(error);
  }

  /** @throws EngineError shutting_down, overloaded */
  #refuseWhenBusy(): void {
    if (this.#isClosing) throw shuttingDown();
    const maxQueue = this.#parts.maxQueue ?? DEFAULT_MAX_QUEUE;
    if (this.#numEmbedding <= maxQueue) return;
    throw new EngineError(
      'overloaded',
      `${this.#numEmbedding} requests for embeddings wait; the queue holds ${maxQueue}. Try again later.`,
      { retryAfterSeconds: RETRY_AFTER_SECONDS },
    );
  }
}
