/** Who runs how many tokens in the next step. Pure bookkeeping: no GPU type, no clock. */
import assert from 'node:assert';
import type { BlockKey } from './kv/block-key.ts';
import { KvCache, type Restore, type UnsavedBlock } from './kv/kv-cache.ts';
import type { LowerTiers } from './kv/prefix-index.ts';
import type { BlockCopy, KvGeometry } from './model-runner.ts';
import type { Sequence } from './sequence.ts';

export interface SchedulerOptions {
  /** Most tokens a step. */
  readonly maxBatchTokens: number;
  /** Most prompt tokens a step while other sequences are generating: it bounds their inter-token latency. */
  readonly maxPrefillChunk: number;
  /** Most sequences that run at once; at most `maxBatchTokens`, so that each can get its token at every step. */
  readonly maxRunning: number;
  /** Most rows of logits a step, at least `maxRunning`; absent: no limit. */
  readonly maxRows?: number;
}

export interface PlanEntry {
  readonly sequence: Sequence;
  /** Tokens this step computes, from `sequence.numComputed` on. */
  readonly numTokens: number;
  /** The step reaches the sequence's last token, so the next one can be sampled, if one is wanted. */
  readonly wantsLogits: boolean;
  /** How many of its last tokens have a row of logits. */
  readonly numRows: number;
}

/** A sequence's next token, perhaps with others that are certain to follow it. */
interface CommittedToken {
  readonly tokenId: number;
  readonly followers?: readonly { readonly tokenId: number }[];
}

/** One step's work: sequences with a single token first. */
export interface Plan {
  readonly entries: readonly PlanEntry[];
  /** Sequences that run for the first time. */
  readonly started: readonly Sequence[];
  /** Block copies to make before the step. */
  readonly copies: readonly BlockCopy[];
}

/**
 * There is no prefill phase and no decode phase: each step every running sequence catches up with its known tokens
 * within the token budget. Source: the scheduler of vLLM v1.
 *
 * - Sequences that need one token are served first, so streams get a token at every step while a long prompt is
 *   computed in chunks from what remains.
 * - A sequence is admitted in order of arrival, when all of its known tokens fit the pool with one spare block for
 *   each running sequence. Only generating takes further blocks.
 * - When none is left, the sequence admitted last gives its blocks back and waits at the head of the queue. Its full
 *   blocks stay findable, so that it often resumes without computing much again.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #kv: KvCache;
  /** In order of admission. */
  readonly #running: Sequence[] = [];
  readonly #waiting: Sequence[] = [];
  #numPreemptions = 0;

  constructor(kv: KvGeometry, options: SchedulerOptions, lower?: LowerTiers) {
    assert(options.maxRunning <= options.maxBatchTokens, 'maxRunning must not exceed maxBatchTokens');
    assert(options.maxRunning <= (options.maxRows ?? options.maxRunning), 'maxRunning must not exceed maxRows');
    this.#options = options;
    this.#kv = new KvCache(kv, options.maxBatchTokens, lower);
  }

  get running(): readonly Sequence[] {
    return this.#running;
  }

  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  get kv(): Pick<KvCache, 'pool' | 'index'> {
    return this.#kv;
  }

  get pool(): KvCache['pool'] {
    return this.#kv.pool;
  }

  get numPreemptions(): number {
    return this.#numPreemptions;
  }

  get hasWork(): boolean {
    return this.#running.length > 0 || this.#waiting.length > 0;
  }

  /** Queues a sequence. Its prompt and `maxTokens` must fit the pool. */
  submit(sequence: Sequence): void {
    const fits = this.#kv.canHold(sequence.numPromptTokens + sequence.maxTokens);
    assert(fits, `sequence ${sequence.id} can never fit the pool`);
    this.#waiting.push(sequence);
  }

  /** Takes a sequence out, wherever it is; its blocks are free for the next step. Twice does nothing. */
  finish(sequence: Sequence): void {
    if (sequence.status === 'finished') return;
    const list = sequence.status === 'running' ? this.#running : this.#waiting;
    list.splice(list.indexOf(sequence), 1);
    this.#kv.release(sequence);
    sequence.status = 'finished';
  }

  /** Forgets all KV, after a device was lost. Nothing may run; what waits keeps its place. */
  reset(): void {
    assert(this.#running.length === 0, 'sequences are running');
    this.#kv.reset();
  }

  /** Chooses the next step's work and takes the blocks it needs. */
  schedule(): Plan {
    const entries = new Map<Sequence, PlanEntry>();
    for (const sequence of [...this.#running]) {
      if (canRun(sequence) && sequence.numPending === 1) this.#enter(entries, sequence, 1);
    }
    let budget = this.#options.maxBatchTokens - entries.size;
    if (entries.size > 0) budget = Math.min(budget, this.#options.maxPrefillChunk);
    for (const sequence of [...this.#running]) {
      if (!canRun(sequence) || sequence.numPending === 1 || budget === 0) continue;
      const numTokens = Math.min(sequence.numPending, budget, this.#roomFor(sequence, entries));
      if (this.#enter(entries, sequence, numTokens)) budget -= numTokens;
    }
    while (budget > 0 && this.#running.length < this.#options.maxRunning) {
      const sequence = this.#waiting[0];
      if (sequence === undefined || this.#roomFor(sequence, entries) === 0 || !this.#admit(sequence)) break;
      if (!canRun(sequence)) continue;
      const numTokens = Math.min(sequence.numPending, budget, this.#roomFor(sequence, entries));
      if (!this.#enter(entries, sequence, numTokens)) break;
      budget -= numTokens;
    }
    const isRestoring = this.#running.some(({ restoring }) => restoring);
    assert(entries.size > 0 || isRestoring || !this.hasWork, 'there is work that can never run');
    const started = [...entries.keys()].filter(({ hasBegun }) => !hasBegun);
    for (const sequence of started) sequence.hasBegun = true;
    return { entries: singlesFirst([...entries.values()]), started, copies: this.#kv.takeCopies() };
  }

  /** What newly admitted sequences wait for; tell `restored` or `couldNotRestore` of each. */
  takeRestores(): readonly Restore[] {
    return this.#kv.takeRestores();
  }

  /** False when nobody waits for it any more. */
  isWanted(restore: Restore): boolean {
    return restore.sequence.restoring === restore;
  }

  /** Up to `most` findable blocks that no lower tier has yet. */
  takeUnsaved(most: number): UnsavedBlock[] {
    return this.#kv.takeUnsaved(most);
  }

  /** Has `takeUnsaved` give these too, unless a lower tier has them. */
  saveAgain(blocks: readonly UnsavedBlock[]): void {
    this.#kv.saveAgain(blocks);
  }

  /** All payloads of a restore that is wanted are in their blocks. */
  restored(restore: Restore): void {
    this.#kv.restored(restore);
  }

  /** The sequence of a restore that is wanted waits again, and finds what there is besides the `missing` blocks. */
  couldNotRestore({ sequence }: Restore, missing: readonly BlockKey[]): void {
    this.#kv.couldNotRestore(missing);
    this.#requeue(sequence);
    if (!sequence.hasBegun) sequence.report = undefined;
  }

  /**
   * Records that a plan was computed: `nextTokens` has one token per sequence that wanted logits and goes on.
   * Sequences that were finished meanwhile are passed over. Full blocks become findable.
   * @returns the sequences whose known tokens are now all computed, with their next token
   */
  commit<Token extends CommittedToken>(
    plan: Plan,
    nextTokens: ReadonlyMap<Sequence, Token>,
  ): (readonly [Sequence, Token | undefined])[] {
    const updates: (readonly [Sequence, Token | undefined])[] = [];
    for (const { sequence, numTokens, wantsLogits } of plan.entries) {
      if (sequence.status !== 'running') continue;
      this.#kv.commit(sequence, numTokens);
      const token = nextTokens.get(sequence);
      if (token !== undefined) for (const { tokenId } of [token, ...(token.followers ?? [])]) sequence.append(tokenId);
      if (wantsLogits) updates.push([sequence, token]);
    }
    return updates;
  }

  /**
   * Gives the sequence's next tokens a place in the step, preempting from the end where blocks are wanting. Who is
   * preempted leaves the step too. False when the sequence itself had to give way.
   */
  #enter(entries: Map<Sequence, PlanEntry>, sequence: Sequence, numTokens: number): boolean {
    while (!this.#kv.grow(sequence, numTokens)) {
      const last = this.#running.at(-1)!;
      this.#preempt(last);
      entries.delete(last);
      if (last === sequence) return false;
    }
    entries.set(sequence, entry(sequence, numTokens));
    return true;
  }

  /** Most tokens of a sequence for which the step has rows of logits, when every other one that runs still gets its own. */
  #roomFor(sequence: Sequence, entries: ReadonlyMap<Sequence, PlanEntry>): number {
    const { maxRows } = this.#options;
    if (maxRows === undefined) return Number.POSITIVE_INFINITY;
    let numRows = 0;
    for (const entered of entries.values()) numRows += entered.numRows;
    const numOthers = this.#running.filter((other) => other !== sequence && !entries.has(other)).length;
    const numFree = Math.max(0, maxRows - numRows - numOthers);
    return sequence.isScored || numFree === 0 ? numFree : Number.POSITIVE_INFINITY;
  }

  #preempt(sequence: Sequence): void {
    this.#requeue(sequence);
    this.#numPreemptions++;
  }

  #requeue(sequence: Sequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#kv.release(sequence);
    sequence.numComputed = 0;
    sequence.status = 'waiting';
    this.#waiting.unshift(sequence);
  }

  #admit(sequence: Sequence): boolean {
    if (!this.#kv.admit(sequence, this.#running)) return false;
    sequence.status = 'running';
    this.#waiting.shift();
    this.#running.push(sequence);
    return true;
  }
}

const canRun = ({ status, restoring }: Sequence): boolean => status === 'running' && !restoring;

const entry = (sequence: Sequence, numTokens: number): PlanEntry => {
  const wantsLogits = numTokens === sequence.numPending && sequence.pooling === undefined;
  return { sequence, numTokens, wantsLogits, numRows: sequence.isScored ? numTokens : wantsLogits ? 1 : 0 };
};

const singlesFirst = (entries: readonly PlanEntry[]): PlanEntry[] => [
  ...entries.filter(({ numTokens }) => numTokens === 1),
  ...entries.filter(({ numTokens }) => numTokens > 1),
];
