/** The engine in this thread: accepts requests, runs the one loop, and tells each request what happens to it. */
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { openAnswerRules } from './answer-rules.ts';
import type {
  Embeddings,
  EmbedOptions,
  Engine,
  EngineStats,
  FinishReason,
  Generation,
  GenerationRequest,
  ModelDescription,
  PerTier,
  Prompt,
} from './api.ts';
import { buildBatch, withRows } from './batch.ts';
import { DecoderEmbeddings } from './decoder-embeddings.ts';
import type { EngineParts } from './engine-parts.ts';
import { EngineTokenizer } from './engine-tokenizer.ts';
import { EngineError, toEngineError } from './errors.ts';
import { kvLayout, rootKey } from './kv/block-key.ts';
import { BlockTraffic } from './kv/block-traffic.ts';
import { maxSequenceTokens } from './kv/layer-groups.ts';
import { PagedChains } from './kv/paged-chains.ts';
import { SESSION_WEIGHT } from './kv/worth-order.ts';
import type { KvGeometry, ModelRunner, StepLogits } from './model-runner.ts';
import { type Candidate, nextTokens } from './next-tokens.ts';
import { outputFormat, withoutForbiddenTools } from './output/model-output.ts';
import { OutputParser } from './output/parser.ts';
import { aborted, Preparation, shuttingDown } from './preparation.ts';
import { promptScore, readScores } from './prompt-score.ts';
import { fitPrompt, refuseBadIds } from './request-limits.ts';
import { Running } from './running.ts';
import { candidatesFor, type SampledToken } from './sample.ts';
import { type Plan, Scheduler } from './scheduler.ts';
import { Sequence } from './sequence.ts';
import { EngineSessions } from './sessions/engine-sessions.ts';

const DEFAULT_MAX_RUNNING = 64;
const DEFAULT_MAX_QUEUE = 256;
const DEFAULT_PREFILL_CHUNK = 128;

export class LocalEngine implements Engine {
  readonly model: ModelDescription;
  readonly adapter: string;
  readonly sessions: EngineSessions;
  readonly tokenizer: EngineTokenizer;
  readonly #parts: EngineParts;
  readonly #preparation: Preparation;
  readonly #scheduler: Scheduler;
  readonly #embeddings: DecoderEmbeddings;
  readonly #traffic: BlockTraffic | undefined;
  readonly #kv: KvGeometry;
  readonly #rootKey: string;
  readonly #maxRunning: number;
  readonly #maxQueue: number;
  readonly #maxCandidates: number;
  readonly #bySequence = new Map<Sequence, Running>();
  readonly #totals = { promptTokens: 0, cachedTokens: 0, completionTokens: 0, steps: 0, deviceLosses: 0 };
  /** Undefined between the loss of a device and its return. */
  #runner: ModelRunner | undefined;
  #nextId = 0;
  #isClosing = false;
  #closed: Promise<void> | undefined;
  #wake: () => void = () => {};
  readonly #loop: Promise<void>;

  constructor(parts: EngineParts) {
    const { runner, model, options } = parts;
    const { kv, limits } = runner;
    this.#parts = parts;
    this.#preparation = new Preparation(parts.workers);
    this.tokenizer = new EngineTokenizer(this.#preparation, parts.workers, model.vocabularySize);
    this.#runner = runner;
    this.#kv = kv;
    this.adapter = parts.adapter;
    this.model = { ...model, contextLength: maxSequenceTokens(kv, limits.maxTokens, model.contextLength) };
    const kvFormat = kvLayout(parts.kvFormat, kv);
    this.#rootKey = rootKey(model.fingerprint, kvFormat);
    const maxBatchTokens = Math.min(options.maxBatchTokens ?? limits.maxTokens, limits.maxTokens);
    const maxRunning = options.maxRunning ?? DEFAULT_MAX_RUNNING;
    this.#maxRunning = Math.min(maxRunning, limits.maxSequences, limits.maxRows, maxBatchTokens);
    this.#maxCandidates = runner.maxCandidates;
    this.#maxQueue = options.maxQueue ?? DEFAULT_MAX_QUEUE;
    this.#scheduler = new Scheduler(
      kv,
      {
        maxBatchTokens,
        maxPrefillChunk: options.maxPrefillChunk ?? DEFAULT_PREFILL_CHUNK,
        maxRunning: this.#maxRunning,
        maxRows: limits.maxRows,
      },
      parts.store,
    );
    this.#traffic = parts.store && new BlockTraffic(this.#scheduler, parts.store, () => this.#wake());
    this.sessions = new EngineSessions({
      ...parts.sessions,
      chains: new PagedChains({
        scheduler: this.#scheduler,
        kv,
        rootKey: this.#rootKey,
        runner: () => this.#runner,
        store: parts.store,
        traffic: this.#traffic,
      }),
      identity: { modelFingerprint: model.fingerprint, kvFormat },
      decode: (tokenIds) => parts.workers.decode(tokenIds),
      vocabularySize: model.vocabularySize,
      contextLength: this.model.contextLength,
    });
    this.#embeddings = new DecoderEmbeddings({
      embedding: model.embedding,
      limits: { ...this.model, endTokenId: parts.embeddingEndTokenId },
      preparation: this.#preparation,
      scheduler: this.#scheduler,
      nextSequenceId: () => this.#nextId++,
      maxActive: Math.max(1, Math.floor(this.#maxRunning / 2)),
      onSubmit: () => this.#wake(),
      onEnd: ({ id }) => this.#runner?.release(id),
    });
    this.#loop = this.#run();
  }

  async generate(asked: GenerationRequest, signal: AbortSignal): Promise<Generation> {
    this.#refuseWhenBusy();
    const request = withoutForbiddenTools(asked);
    refuseBadIds(request, this.model.vocabularySize);
    const prompt = await this.#preparation.prepare(request.prompt, signal);
    const maxTokens = fitPrompt(prompt.tokenIds.length, request.maxTokens, this.model.contextLength);
    const score = promptScore(request, prompt.tokenIds, this.#maxCandidates);
    const id = this.#nextId++;
    const sequence = new Sequence(id, prompt.tokenIds, maxTokens, score ? `scored ${id}` : this.#rootKey);
    sequence.isScored = score !== undefined;
    const context = { workers: this.#parts.workers, output: this.#parts.output };
    const rules = await openAnswerRules(context, request, prompt, sequence.id);
    // From here on nothing may wait: an abort or a close from now on finds the sequence.
    try {
      this.#preparation.refuseWhenOver(signal);
    } catch (error) {
      rules.constraint?.close();
      throw error;
    }
    if (request.cache?.session !== undefined) sequence.weight = SESSION_WEIGHT;
    const parser = new OutputParser(outputFormat(this.#parts.output, request, prompt.reasoningOpened));
    const abort = (): void => this.#fail(running, aborted());
    const running = new Running(sequence, request.sampling, parser, {
      seed: request.sampling.seed ?? randomInt(2 ** 32),
      exchange: this.sessions.begin(request, prompt.tokenIds),
      ...rules,
      score,
      onLeave: abort,
      onEnd: () => signal.removeEventListener('abort', abort),
    });
    signal.addEventListener('abort', abort, { once: true });
    this.#bySequence.set(sequence, running);
    // Before it is queued: what it promises to compute is not there yet.
    const lookup = this.#lookUp(sequence);
    this.#scheduler.submit(sequence);
    this.#wake();
    return { promptTokens: sequence.numPromptTokens, lookup, events: running.events };
  }

  async embed(prompts: readonly Prompt[], options: EmbedOptions): Promise<Embeddings> {
    this.#refuseWhenBusy();
    return this.#embeddings.embed(prompts, options);
  }

  /** What the cache has of a sequence now. */
  #lookUp(sequence: Sequence): PerTier {
    const { index } = this.#scheduler.kv;
    const hit = index.findWhole(sequence);
    return index.report(sequence, hit, index.findTail(sequence, hit)).found;
  }

  async countTokens(prompt: Prompt): Promise<number> {
    return (await this.tokenizer.tokenize(prompt)).length;
  }

  stats(): EngineStats {
    const { running, waiting, pool, numPreemptions } = this.#scheduler;
    return {
      ...this.#totals,
      running: running.length,
      waiting: waiting.length + this.#preparation.numPreparing,
      kvBlocksTotal: pool.numBlocks,
      kvBlocksUsed: pool.numUsed,
      kvBlocksCached: pool.numCached,
      preemptions: numPreemptions,
      gpuBytes: this.#runner?.gpuBytes ?? 0,
      kvBlocksSaved: this.#traffic?.stats.savedBlocks ?? 0,
      kvBlocksRestored: this.#traffic?.stats.restoredBlocks ?? 0,
      kvTrafficMs: (this.#traffic?.stats.loopMs ?? 0) + (this.#runner?.kvTransferMs ?? 0),
      kvTiers: this.#parts.store?.stats() ?? [],
      sessionFailures: this.sessions.numFailures,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#preparation.close();
    for (const running of [...this.#bySequence.values()]) this.#fail(running, shuttingDown());
    this.#embeddings.failAll(shuttingDown());
    this.#wake();
    await this.#loop;
    if (this.#runner) await this.#traffic?.saved(this.#runner);
    await this.#parts.store?.close();
    await this.sessions.close();
    await this.#runner?.close();
    this.#runner = undefined;
    await this.#parts.workers.close();
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      if (!this.#scheduler.hasWork) {
        await this.#sleep();
        continue;
      }
      try {
        this.#runner ??= await this.#rebuild();
        await this.#step(this.#runner);
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  async #step(runner: ModelRunner): Promise<void> {
    const plan = this.#schedule(runner);
    this.#traffic?.restore(runner);
    if (plan.entries.length === 0) {
      // Everything that runs waits for its blocks.
      await this.#sleep();
      return;
    }
    const logits = await this.#forward(runner, plan);
    this.#embeddings.collect(plan, logits);
    await readScores(this.#parts.workers, plan, logits, (sequence) => this.#bySequence.get(sequence));
    const tokens = await this.#sample(plan, logits);
    for (const [sequence, token] of this.#scheduler.commit(plan, tokens)) this.#publish(sequence, token);
    this.#traffic?.save(runner);
  }

  /** Waits until somebody calls `#wake`. */
  #sleep(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #schedule(runner: ModelRunner): Plan {
    const plan = this.#scheduler.schedule();
    for (const sequence of plan.started) {
      runner.begin?.(sequence.id, sequence.tokenIds.slice());
      this.#bySequence.get(sequence)?.begin();
      this.#totals.promptTokens += sequence.numPromptTokens;
      this.#totals.cachedTokens += sequence.cachedTokens ?? 0;
    }
    return plan;
  }

  async #forward(runner: ModelRunner, plan: Plan): Promise<StepLogits> {
    const samplings = this.#sampled(plan).map(({ running }) => running.sampling);
    const isScored = plan.entries.some(({ sequence }) => sequence.isScored);
    const numCandidates = isScored ? runner.maxCandidates : candidatesFor(samplings, runner.maxCandidates);
    this.#totals.steps++;
    return runner.forward(buildBatch(plan, runner.kv, numCandidates));
  }

  /** Ends sequences whose row failed or is the last one, and samples the others'. */
  async #sample(plan: Plan, logits: StepLogits): Promise<ReadonlyMap<Sequence, SampledToken>> {
    for (const { running, row } of this.#sampled(plan)) {
      const failure = logits.failures?.get(row);
      if (failure) this.#fail(running, failure);
      else if (logits.endings?.has(row)) void this.#finish(running, 'length');
    }
    const wanted = this.#sampled(plan).filter(({ running }) => running.sequence.maxTokens > 0);
    const { tokens, failures, over } = await nextTokens(this.#parts.workers, logits, wanted);
    for (const { running } of this.#sampled(plan)) {
      const failure = failures.get(running.sequence);
      if (failure) this.#fail(running, failure);
      else if (over.includes(running)) void this.#finish(running, 'stop');
    }
    return tokens;
  }

  /** Unfinished sequences that this plan computes to their end, with their rows. */
  #sampled(plan: Plan): Candidate[] {
    return withRows(plan.entries)
      .filter(({ entry }) => entry.wantsLogits)
      .map(({ entry: { sequence, numRows }, firstRow }) => ({
        running: this.#bySequence.get(sequence),
        row: firstRow + numRows - 1,
      }))
      .filter((sampled): sampled is Candidate => sampled.running !== undefined);
  }

  #publish(sequence: Sequence, token: SampledToken | undefined): void {
    const running = this.#bySequence.get(sequence)!;
    if (token === undefined) {
      void this.#finish(running, 'length');
      return;
    }
    const tokens = [token, ...(token.followers ?? [])];
    this.#totals.completionTokens += tokens.filter(({ endOfTurn }) => !endOfTurn).length;
    const reason = running.accept(token);
    if (reason) void this.#finish(running, reason);
  }

  /** Frees the sequence's blocks at once; what its decoder still holds follows as soon as the pool has it. */
  async #finish(running: Running, reason: FinishReason): Promise<void> {
    this.#forget(running);
    try {
      const rest = running.pending.length > 0 ? await this.#parts.workers.flush(running.pending) : '';
      running.finish(reason, rest);
    } catch (error) {
      running.fail(toEngineError(error));
    }
  }

  #fail(running: Running, error: EngineError): void {
    this.#forget(running);
    running.fail(error);
  }

  #forget(running: Running): void {
    const { sequence } = running;
    if (!this.#bySequence.delete(sequence)) return;
    running.constraint?.close();
    this.#scheduler.finish(sequence);
    this.#runner?.release(sequence.id);
    if (this.#runner) this.#traffic?.save(this.#runner);
  }

  /** A failed step fails what was in it. After a loss of the device nothing that has begun can go on; the queue can. */
  async #recover(error: unknown): Promise<void> {
    const failure = toEngineError(error);
    const isLost = failure.code === 'device_lost';
    const couldNotRebuild = this.#runner === undefined;
    const isOver = ({ status, cachedTokens }: Sequence): boolean =>
      couldNotRebuild || status === 'running' || (isLost && cachedTokens !== undefined);
    for (const running of [...this.#bySequence.values()]) if (isOver(running.sequence)) this.#fail(running, failure);
    this.#embeddings.fail(failure, isOver);
    if (!isLost || couldNotRebuild) return;
    const lost = this.#runner!;
    this.#runner = undefined;
    this.#totals.deviceLosses++;
    this.#scheduler.reset();
    // What a lost device says when it is closed is of no use to anybody.
    await lost.close().catch(() => undefined);
  }

  async #rebuild(): Promise<ModelRunner> {
    try {
      const runner = await this.#parts.rebuild();
      if (isDeepStrictEqual(runner.kv, this.#kv)) return runner;
      const { numBlocks, blockSize } = runner.kv;
      await runner.close();
      throw new Error(`its KV pool has another size now (${numBlocks} blocks of ${blockSize}); restart the server`);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError(
        'device_lost',
        `the device was lost and could not be opened again: ${reason}`,
        {},
        { cause },
      );
    }
  }

  /** @throws EngineError shutting_down, overloaded */
  #refuseWhenBusy(): void {
    if (this.#isClosing) throw shuttingDown();
    const numQueued = this.#scheduler.waiting.length + this.#embeddings.numRequests;
    const numWaiting = numQueued + this.#preparation.numPreparing;
    const numRunnable = this.#maxRunning - this.#scheduler.running.length;
    if (numWaiting < this.#maxQueue + numRunnable) return;
    throw new EngineError(
      'overloaded',
      `${this.#scheduler.running.length} requests run and ${numWaiting} wait; the queue holds ${this.#maxQueue}. Try again later.`,
      { retryAfterSeconds: RETRY_AFTER_SECONDS },
    );
  }
}

const RETRY_AFTER_SECONDS = 5;
