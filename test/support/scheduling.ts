/** Drives a scheduler against a scripted runner step by step, and checks what the runner's KV cache really holds. */
import { expect } from 'vitest';
import { buildBatch } from '../../src/runtime/batch.ts';
import type { BlockKey } from '../../src/runtime/kv/block-key.ts';
import type { Restore, UnsavedBlock } from '../../src/runtime/kv/kv-cache.ts';
import type { LowerTiers } from '../../src/runtime/kv/prefix-index.ts';
import type { Batch, KvGeometry, KvGroup } from '../../src/runtime/model-runner.ts';
import { type Plan, Scheduler, type SchedulerOptions } from '../../src/runtime/scheduler.ts';
import { Sequence } from '../../src/runtime/sequence.ts';

/** Stands for K or V of one token: a function of the group and of all tokens up to it, as attention makes them. */
const entryHashes = (tokenIds: Uint32Array, group: number): number[] => {
  let hash = 17 + group;
  return Array.from(tokenIds, (token) => {
    hash = (Math.imul(hash, 31) + token + 7) >>> 0;
    return hash;
  });
};

/** The next token as a function of all tokens before it: a wrong KV slot anywhere changes the text from there on. */
export const nextToken = (context: readonly number[]): number =>
  context.reduce((hash, token) => (Math.imul(hash, 31) + token + 7) >>> 0, 17) % 1000;

/** The answer of a sequence that runs alone. */
export const expectedAnswer = (prompt: readonly number[], numTokens: number): number[] => {
  const context = [...prompt];
  for (let count = 0; count < numTokens; count++) context.push(nextToken(context));
  return context.slice(prompt.length);
};

export interface BenchOptions extends Partial<SchedulerOptions> {
  readonly numBlocks?: number;
  readonly blockSize?: number;
  readonly groups?: readonly KvGroup[];
  /** A tier below the pool, which keeps everything it is given. */
  readonly lower?: LowerStore;
}

/** Keeps what blocks held. A restore takes as long, and fails as often, as the test lets it. */
export class LowerStore implements LowerTiers {
  readonly payloads = new Map<BlockKey, Float64Array>();
  readonly #blocks: UnsavedBlock[] = [];

  tierOf(key: BlockKey): 'ram' | undefined {
    return this.payloads.has(key) ? 'ram' : undefined;
  }

  childrenOf(parent: BlockKey): [BlockKey, Uint32Array][] {
    const children = this.#blocks.filter((block) => block.parent === parent && this.payloads.has(block.key));
    return children.map(({ key, tokenIds }) => [key, tokenIds]);
  }

  put(block: UnsavedBlock, payload: Float64Array): void {
    this.payloads.set(block.key, payload);
    this.#blocks.push(block);
  }
}

export class Bench {
  readonly scheduler: Scheduler;
  /** Tokens fed since the start. */
  numFed = 0;
  /** Of every slot: what stands for its K and V; −1 where none was ever written. */
  readonly #cache: Float64Array;
  readonly #kv: KvGeometry;
  readonly #lower: LowerStore | undefined;
  /** Begun, and not yet over. */
  readonly restores: Restore[] = [];
  numRestored = 0;
  #nextId = 0;

  constructor(options: BenchOptions = {}) {
    const { numBlocks = 64, blockSize = 4, maxBatchTokens = 32, maxPrefillChunk = 16, maxRunning = 8 } = options;
    this.#kv = { numBlocks, blockSize, blockBytes: 1, groups: options.groups ?? [{}] };
    this.#lower = options.lower;
    this.scheduler = new Scheduler(this.#kv, { maxBatchTokens, maxPrefillChunk, maxRunning }, options.lower);
    this.#cache = new Float64Array(numBlocks * blockSize).fill(-1);
  }

  submit(prompt: readonly number[], maxTokens: number): Sequence {
    const sequence = new Sequence(this.#nextId++, Uint32Array.from(prompt), maxTokens, 'root');
    this.scheduler.submit(sequence);
    return sequence;
  }

  /** One step, with a check that every row finds its own tokens' K and V wherever it looks. */
  step(): Plan {
    const plan = this.scheduler.schedule();
    this.restores.push(...this.scheduler.takeRestores());
    const batch = buildBatch(plan, this.#kv, 0);
    this.numFed += batch.numTokens;
    const { blockSize } = this.#kv;
    for (const { from, to } of batch.copies) {
      this.#cache.copyWithin(to * blockSize, from * blockSize, (from + 1) * blockSize);
    }
    for (const [group, { slots }] of batch.groups.entries()) {
      for (const [index, { sequence }] of plan.entries.entries()) {
        const hashes = entryHashes(sequence.tokenIds, group);
        for (let row = batch.queryStarts[index]!; row < batch.queryStarts[index + 1]!; row++) {
          this.#cache[slots[row]!] = hashes[batch.positions[row]!]!;
        }
      }
    }
    const tokens = new Map<Sequence, { tokenId: number }>();
    for (const [index, { sequence, wantsLogits }] of plan.entries.entries()) {
      this.#checkContext(batch, index, sequence);
      if (wantsLogits) tokens.set(sequence, { tokenId: nextToken([...sequence.tokenIds]) });
    }
    for (const [sequence] of this.scheduler.commit(plan, tokens)) {
      if (sequence.numGenerated === sequence.maxTokens) this.scheduler.finish(sequence);
    }
    this.#save();
    return plan;
  }

  /** Ends the oldest restore: with what the lower tier has, or, where that is lost meanwhile, without. */
  endRestore(): void {
    const restore = this.restores.shift();
    if (!restore || !this.scheduler.isWanted(restore)) return;
    const payloads = restore.items.map(({ key }) => this.#lower!.payloads.get(key));
    const missing = restore.items.filter((_, i) => payloads[i] === undefined).map(({ key }) => key);
    if (missing.length > 0) {
      this.scheduler.couldNotRestore(restore, missing);
      return;
    }
    for (const [i, { block }] of restore.items.entries()) this.#cache.set(payloads[i]!, block * this.#kv.blockSize);
    this.scheduler.restored(restore);
    this.numRestored += restore.items.length;
  }

  #save(): void {
    if (!this.#lower) return;
    const { blockSize } = this.#kv;
    for (const unsaved of this.scheduler.takeUnsaved(1000)) {
      const begin = unsaved.block * blockSize;
      this.#lower.put(unsaved, this.#cache.slice(begin, begin + blockSize));
    }
  }

  #checkContext(batch: Batch, index: number, sequence: Sequence): void {
    const { blockSize, groups } = this.#kv;
    const firstRow = batch.positions[batch.queryStarts[index]!]!;
    for (const [group, { window }] of groups.entries()) {
      const { blockTables, firstBlocks } = batch.groups[group]!;
      const hashes = entryHashes(sequence.tokenIds, group);
      const lowest = window === undefined ? 0 : Math.max(0, firstRow + 1 - window);
      for (let key = lowest; key < batch.contextLengths[index]!; key++) {
        const block = blockTables[index]![Math.floor(key / blockSize) - firstBlocks[index]!]!;
        const found = this.#cache[block * blockSize + (key % blockSize)];
        if (found !== hashes[key]) expect({ sequence: sequence.id, group, key, found }).toEqual(hashes[key]);
      }
    }
  }

  runToEnd(): void {
    while (this.scheduler.hasWork) {
      this.step();
      this.endRestore();
    }
    this.#save();
  }

  /** Blocks add up, tables end where windows do, and no block is in two tables unless it was shared by content. */
  checkBlocks(): void {
    const { pool, running, waiting } = this.scheduler;
    const held = running.flatMap(({ tables, borrowed }) => [...borrowed, ...tables.flatMap(({ blocks }) => blocks)]);
    expect(pool.numUsed).toBe(new Set(held).size);
    expect(pool.numUsed + pool.numCached + pool.numFree).toBe(pool.numBlocks);
    for (const sequence of waiting) expect(sequence.tables).toEqual([]);
    const owners = new Map<number, string>();
    for (const sequence of running) {
      for (const [group, { firstBlock, blocks }] of sequence.tables.entries()) {
        const { window } = this.#kv.groups[group]!;
        const firstSeen = window === undefined ? 0 : Math.max(0, sequence.numComputed + 1 - window);
        expect(firstBlock).toBe(Math.floor(firstSeen / this.#kv.blockSize));
        expect(new Set(blocks).size).toBe(blocks.length);
        for (const [index, block] of blocks.entries()) {
          const isRestoring = sequence.restoring?.items.some((item) => item.block === block);
          const content = isRestoring
            ? `block ${block} to be restored`
            : this.#contentOf(sequence, group, firstBlock + index);
          expect(owners.get(block) ?? content).toBe(content);
          owners.set(block, content);
        }
      }
    }
  }

  /** What a block holds, or, while it is not full, whose it is. */
  #contentOf(sequence: Sequence, group: number, index: number): string {
    const end = (index + 1) * this.#kv.blockSize;
    if (sequence.numComputed < end) return `group ${group}, block ${index} of sequence ${sequence.id}`;
    return `group ${group}: ${sequence.tokenIds.subarray(0, end).join()}`;
  }
}

export const answerOf = (sequence: Sequence): number[] => [...sequence.tokenIds.subarray(sequence.numPromptTokens)];
