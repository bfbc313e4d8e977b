/** Who runs how many tokens in the next step, and in which KV blocks. Pure bookkeeping: no GPU type, no clock. */
import assert from 'node:assert';
import type { BlockKey } from './kv/block-key.ts';
import { BlockPool } from './kv/block-pool.ts';
import type { KvGeometry } from './model-runner.ts';
import type { Sequence } from './sequence.ts';

export interface SchedulerOptions {
  /** Most tokens a step. */
  readonly maxBatchTokens: number;
  /** Most prompt tokens a step while other sequences are generating: it bounds their inter-token latency. */
  readonly maxPrefillChunk: number;
  /** Most sequences that run at once; at most `maxBatchTokens`, so that each can get its token at every step. */
  readonly maxRunning: number;
}

export interface PlanEntry {
  readonly sequence: Sequence;
  /** Tokens this step computes, from `sequence.numComputed` on. */
  readonly numTokens: number;
  /** The step reaches the sequence's last token, so the next one can be sampled. */
  readonly wantsLogits: boolean;
}

/** One step's work: sequences with a single token first. */
export interface Plan {
  readonly entries: readonly PlanEntry[];
  /** Sequences that run for the first time. */
  readonly started: readonly Sequence[];
}

/**
 * There is no prefill phase and no decode phase: each step every running sequence catches up with its known tokens
 * within the token budget. Source: the scheduler of vLLM v1.
 *
 * - Sequences that need one token are served first, so streams get a token at every step while a long prompt is
 *   computed in chunks from what remains.
 * - A sequence is admitted in order of arrival, when all of its known tokens fit the pool with one spare block for
 *   each running sequence; it holds their blocks from then on. Only generating takes further blocks.
 * - When none is left, the sequence admitted last gives its blocks back and waits at the head of the queue. Its full
 *   blocks stay findable, so that it often resumes without computing much again.
 */
export class Scheduler {
  readonly blockSize: number;
  readonly #options: SchedulerOptions;
  #pool: BlockPool;
  /** In order of admission. */
  readonly #running: Sequence[] = [];
  readonly #waiting: Sequence[] = [];
  /** Full blocks that a running sequence has yet to compute: who needs one of them waits instead of computing it too. */
  readonly #promised = new Map<BlockKey, Sequence>();
  #numPreemptions = 0;

  constructor(kv: KvGeometry, options: SchedulerOptions) {
    assert(options.maxRunning <= options.maxBatchTokens, 'maxRunning must not exceed maxBatchTokens');
    this.blockSize = kv.blockSize;
    this.#options = options;
    this.#pool = new BlockPool(kv.numBlocks);
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  get pool(): Pick<BlockPool, 'numBlocks' | 'numUsed' | 'numCached' | 'numFree'> {
    return this.#pool;
  }

  get numPreemptions(): number {
    return this.#numPreemptions;
  }

  get hasWork(): boolean {
    return this.#running.length > 0 || this.#waiting.length > 0;
  }

  /** Queues a sequence. Its prompt and `maxTokens` must fit the pool. */
  submit(sequence: Sequence): void {
    const numBlocks = this.#blocksFor(sequence.numPromptTokens + sequence.maxTokens);
    assert(numBlocks <= this.#pool.numBlocks, `sequence ${sequence.id} can never fit the pool`);
    this.#waiting.push(sequence);
  }

  /** Takes a sequence out, wherever it is; its blocks are free for the next step. Twice does nothing. */
  finish(sequence: Sequence): void {
    if (sequence.status === 'finished') return;
    const list = sequence.status === 'running' ? this.#running : this.#waiting;
    list.splice(list.indexOf(sequence), 1);
    this.#releaseBlocks(sequence);
    sequence.status = 'finished';
  }

  /** Forgets all KV, after a device was lost. Nothing may run; what waits keeps its place. */
  reset(): void {
    assert(this.#running.length === 0, 'sequences are running');
    this.#pool = new BlockPool(this.#pool.numBlocks);
  }

  /** Chooses the next step's work and takes the blocks it needs. */
  schedule(): Plan {
    const entries: PlanEntry[] = [];
    const started: Sequence[] = [];
    for (const sequence of [...this.#running]) {
      if (sequence.numPending === 1 && this.#growTable(sequence)) entries.push(entry(sequence, 1));
    }
    let budget = this.#options.maxBatchTokens - entries.length;
    if (entries.length > 0) budget = Math.min(budget, this.#options.maxPrefillChunk);
    for (const sequence of this.#running) {
      if (sequence.numPending === 1 || budget === 0) continue;
      const numTokens = Math.min(sequence.numPending, budget);
      entries.push(entry(sequence, numTokens));
      budget -= numTokens;
    }
    while (budget > 0 && this.#running.length < this.#options.maxRunning) {
      const sequence = this.#waiting[0];
      if (sequence === undefined) break;
      const isFirstRun = sequence.cachedTokens === undefined;
      if (!this.#admit(sequence)) break;
      if (isFirstRun) started.push(sequence);
      const numTokens = Math.min(sequence.numPending, budget);
      entries.push(entry(sequence, numTokens));
      budget -= numTokens;
    }
    assert(entries.length > 0 || !this.hasWork, 'there is work that can never run');
    return { entries: singlesFirst(entries), started };
  }

  /**
   * Records that a plan was computed: `nextTokens` has one token per sequence that wanted logits and goes on.
   * Sequences that were finished meanwhile are passed over. Full blocks become findable.
   * @returns the sequences whose known tokens are now all computed, with their next token
   */
  commit<Token extends { readonly tokenId: number }>(
    plan: Plan,
    nextTokens: ReadonlyMap<Sequence, Token>,
  ): (readonly [Sequence, Token | undefined])[] {
    const updates: (readonly [Sequence, Token | undefined])[] = [];
    for (const { sequence, numTokens, wantsLogits } of plan.entries) {
      if (sequence.status !== 'running') continue;
      const firstNewBlock = Math.floor(sequence.numComputed / this.blockSize);
      sequence.numComputed += numTokens;
      const numFullBlocks = Math.floor(sequence.numComputed / this.blockSize);
      for (let index = firstNewBlock; index < numFullBlocks; index++) {
        const key = sequence.key(index, this.blockSize);
        this.#pool.publish(sequence.blocks[index]!, key);
        this.#breakPromise(key, sequence);
      }
      const token = nextTokens.get(sequence);
      if (token !== undefined) sequence.append(token.tokenId);
      if (wantsLogits) updates.push([sequence, token]);
    }
    return updates;
  }

  /** Makes room for one more token, preempting from the end. False when the sequence itself had to give way. */
  #growTable(sequence: Sequence): boolean {
    if (sequence.status !== 'running') return false;
    while (sequence.blocks.length < this.#blocksFor(sequence.numTokens)) {
      const block = this.#pool.allocate();
      if (block !== undefined) {
        sequence.blocks.push(block);
        continue;
      }
      const last = this.#running.at(-1)!;
      this.#preempt(last);
      if (last === sequence) return false;
    }
    return true;
  }

  #preempt(sequence: Sequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#releaseBlocks(sequence);
    sequence.numComputed = 0;
    sequence.status = 'waiting';
    this.#waiting.unshift(sequence);
    this.#numPreemptions++;
  }

  #admit(sequence: Sequence): boolean {
    const hits = this.#findPrefix(sequence);
    if (hits === undefined) return false;
    const numNew = this.#blocksFor(sequence.numTokens) - hits.length;
    const numRevived = hits.filter((block) => this.#pool.isCached(block)).length;
    if (numNew + numRevived + this.#running.length > this.#pool.numAvailable) return false;
    for (const block of hits) this.#pool.retain(block);
    sequence.blocks.push(...hits);
    for (let count = 0; count < numNew; count++) sequence.blocks.push(this.#pool.allocate()!);
    sequence.numComputed = hits.length * this.blockSize;
    sequence.cachedTokens ??= sequence.numComputed;
    sequence.status = 'running';
    this.#waiting.shift();
    this.#running.push(sequence);
    const numFullBlocks = Math.floor(sequence.numTokens / this.blockSize);
    for (let index = hits.length; index < numFullBlocks; index++) {
      const key = sequence.key(index, this.blockSize);
      if (!this.#promised.has(key)) this.#promised.set(key, sequence);
    }
    return true;
  }

  /**
   * Leading blocks that are already computed; the last known token is always left to compute, since its logits are
   * wanted. Undefined: the next block is being computed by another sequence right now.
   */
  #findPrefix(sequence: Sequence): number[] | undefined {
    const hits: number[] = [];
    const most = Math.floor((sequence.numTokens - 1) / this.blockSize);
    for (let index = 0; index < most; index++) {
      const key = sequence.key(index, this.blockSize);
      const block = this.#pool.find(key);
      if (block === undefined) return this.#promised.has(key) ? undefined : hits;
      hits.push(block);
    }
    return hits;
  }

  /** The tail goes first, so that a chain is evicted from its end and its beginning stays useful. */
  #releaseBlocks(sequence: Sequence): void {
    if (sequence.blocks.length === 0) return;
    const numFullBlocks = Math.floor(sequence.numTokens / this.blockSize);
    for (let index = Math.floor(sequence.numComputed / this.blockSize); index < numFullBlocks; index++) {
      this.#breakPromise(sequence.key(index, this.blockSize), sequence);
    }
    for (const block of sequence.blocks.reverse()) this.#pool.release(block);
    sequence.blocks.length = 0;
  }

  #breakPromise(key: BlockKey, sequence: Sequence): void {
    if (this.#promised.get(key) === sequence) this.#promised.delete(key);
  }

  #blocksFor(numTokens: number): number {
    return Math.ceil(numTokens / this.blockSize);
  }
}

const entry = (sequence: Sequence, numTokens: number): PlanEntry => ({
  sequence,
  numTokens,
  wantsLogits: numTokens === sequence.numPending,
});

const singlesFirst = (entries: readonly PlanEntry[]): PlanEntry[] => [
  ...entries.filter(({ numTokens }) => numTokens === 1),
  ...entries.filter(({ numTokens }) => numTokens > 1),
];
