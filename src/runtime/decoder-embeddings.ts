/**
 * Embeddings from a model that also generates: each text is a sequence that wants its last states in place of a next token.
 * Only some of them are with the scheduler at a time, so that conversations find their place among thousands of texts.
 */
import type { EmbeddingDescription, Embeddings, EmbedOptions, Prompt } from './api.ts';
import { pooledPart } from './batch.ts';
import { type InputLimits, normalize, prepareInputs, requireDimensions } from './embedding-input.ts';
import { EngineError, toEngineError } from './errors.ts';
import type { StepLogits } from './model-runner.ts';
import { aborted, type Preparation } from './preparation.ts';
import type { Plan, Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';

export interface DecoderEmbeddingsParts {
  /** Absent: the model makes none. */
  readonly embedding: EmbeddingDescription | undefined;
  readonly limits: InputLimits;
  readonly preparation: Preparation;
  readonly scheduler: Scheduler;
  readonly nextSequenceId: () => number;
  /** Most sequences with the scheduler at once. */
  readonly maxActive: number;
  readonly onSubmit: () => void;
  /** A sequence is over, whatever has become of it. */
  readonly onEnd: (sequence: Sequence) => void;
}

/** One call of `embed`. */
interface Request {
  readonly dimensions: number | undefined;
  readonly embeddings: Float32Array[];
  /** Texts that the scheduler does not know of yet. */
  readonly waiting: { readonly tokenIds: Uint32Array; readonly index: number }[];
  numMissing: number;
  finish(error?: EngineError): void;
}

/** A sequence with the scheduler. */
interface Active {
  readonly request: Request;
  readonly index: number;
  /** Of its states so far, as far as they count. */
  readonly sum: Float64Array;
}

export class DecoderEmbeddings {
  readonly #parts: DecoderEmbeddingsParts;
  readonly #requests = new Set<Request>();
  readonly #active = new Map<Sequence, Active>();

  constructor(parts: DecoderEmbeddingsParts) {
    this.#parts = parts;
  }

  /** Requests that are not answered yet. */
  get numRequests(): number {
    return this.#requests.size;
  }

  /** @throws EngineError as `Engine.embed` */
  async embed(prompts: readonly Prompt[], { dimensions, signal }: EmbedOptions): Promise<Embeddings> {
    const { embedding, limits, preparation } = this.#parts;
    if (!embedding) throw new EngineError('not_supported', 'this model makes no embeddings: serve one that does');
    requireDimensions(dimensions, embedding);
    const inputs = await prepareInputs(preparation, prompts, limits, signal);
    preparation.refuseWhenOver(signal);
    const embeddings = inputs.length === 0 ? [] : await this.#compute(inputs, dimensions, signal);
    return { embeddings, promptTokens: inputs.reduce((sum, { length }) => sum + length, 0) };
  }

  /** Takes what a step computed of these sequences; call it before the plan is committed. */
  collect({ entries }: Plan, { pooled }: StepLogits): void {
    let segment = 0;
    for (const entry of entries) {
      const { sequence } = entry;
      const start = pooledPart(entry) === undefined ? undefined : this.#size * segment++;
      const active = this.#active.get(sequence);
      if (!active) continue;
      // A sequence that gave its blocks back begins anew.
      if (sequence.numComputed === 0) active.sum.fill(0);
      if (start !== undefined) for (let i = 0; i < this.#size; i++) active.sum[i]! += pooled![start + i]!;
      if (entry.numTokens === sequence.numPending) this.#finish(sequence, active);
    }
  }

  /** Fails the requests whose sequences `isLost` takes. */
  fail(error: EngineError, isLost: (sequence: Sequence) => boolean): void {
    for (const [sequence, { request }] of [...this.#active]) {
      if (this.#active.has(sequence) && isLost(sequence)) request.finish(error);
    }
  }

  failAll(error: EngineError): void {
    for (const request of [...this.#requests]) request.finish(error);
  }

  get #size(): number {
    return this.#parts.embedding?.size ?? 0;
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
          if (!this.#requests.delete(request)) return;
          signal.removeEventListener('abort', abort);
          if (error) reject(error);
          else resolve(request.embeddings);
          for (const [sequence, active] of [...this.#active]) if (active.request === request) this.#drop(sequence);
          this.#submit();
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#requests.add(request);
      this.#submit();
    });
  }

  /** One text of each request in turn, so that a large request does not hold up small ones. */
  #submit(): void {
    const { scheduler, nextSequenceId, maxActive, embedding } = this.#parts;
    while (this.#active.size < maxActive) {
      const request = [...this.#requests].find(({ waiting }) => waiting.length > 0);
      if (request === undefined) break;
      this.#requests.delete(request);
      this.#requests.add(request);
      const { tokenIds, index } = request.waiting.shift()!;
      const id = nextSequenceId();
      const sequence = new Sequence(id, tokenIds, 0, `embedding ${id}`, embedding!.pooling);
      this.#active.set(sequence, { request, index, sum: new Float64Array(this.#size) });
      scheduler.submit(sequence);
    }
    this.#parts.onSubmit();
  }

  #finish(sequence: Sequence, { request, index, sum }: Active): void {
    this.#drop(sequence);
    try {
      request.embeddings[index] = normalize(sum, request.dimensions);
    } catch (error) {
      request.finish(toEngineError(error));
      return;
    }
    if (--request.numMissing === 0) request.finish();
    else this.#submit();
  }

  #drop(sequence: Sequence): void {
    this.#active.delete(sequence);
    this.#parts.scheduler.finish(sequence);
    this.#parts.onEnd(sequence);
  }
}
