/** Drives a scheduler against a scripted runner step by step, and checks what the runner's KV cache really holds. */
import { expect } from 'vitest';
import { buildBatch } from '../../src/runtime/batch.ts';
import type { Batch, KvGeometry } from '../../src/runtime/model-runner.ts';
import { type Plan, Scheduler, type SchedulerOptions } from '../../src/runtime/scheduler.ts';
import { Sequence } from '../../src/runtime/sequence.ts';

/** Computes nothing, but keeps fed tokens in slots as a KV cache would, and reads contexts back through block tables. */
export class SlotCache {
  readonly #cache: Int32Array;
  readonly #blockSize: number;

  constructor({ blockSize, numBlocks }: Pick<KvGeometry, 'blockSize' | 'numBlocks'>) {
    this.#blockSize = blockSize;
    this.#cache = new Int32Array(numBlocks * blockSize).fill(-1);
  }

  write(batch: Batch): void {
    for (let index = 0; index < batch.numTokens; index++) this.#cache[batch.slots[index]!] = batch.tokenIds[index]!;
  }

  read(blockTable: Uint32Array, length: number): number[] {
    return Array.from({ length }, (_, position) => {
      const block = blockTable[Math.floor(position / this.#blockSize)]!;
      return this.#cache[block * this.#blockSize + (position % this.#blockSize)]!;
    });
  }
}

/** The next token as a function of all tokens before it: a wrong KV slot anywhere changes the text from there on. */
export const nextToken = (context: readonly number[]): number =>
  context.reduce((hash, token) => (Math.imul(hash, 31) + token + 7) >>> 0, 17) % 1000;

/** The answer of a sequence that runs alone. */
export const expectedAnswer = (prompt: readonly number[], numTokens: number): number[] => {
  const context = [...prompt];
  for (let count = 0; count < numTokens; count++) context.push(nextToken(context));
  return context.slice(prompt.length);
};

export class Bench {
  readonly scheduler: Scheduler;
  /** Tokens fed since the start. */
  numFed = 0;
  readonly #cache: SlotCache;
  readonly #kv: KvGeometry;
  #nextId = 0;

  constructor(options: Partial<SchedulerOptions> & { numBlocks?: number; blockSize?: number } = {}) {
    const { numBlocks = 64, blockSize = 4, maxBatchTokens = 32, maxPrefillChunk = 16, maxRunning = 8 } = options;
    this.#kv = { numBlocks, blockSize, blockBytes: 1 };
    this.scheduler = new Scheduler(this.#kv, { maxBatchTokens, maxPrefillChunk, maxRunning });
    this.#cache = new SlotCache(this.#kv);
  }

  submit(prompt: readonly number[], maxTokens: number): Sequence {
    const sequence = new Sequence(this.#nextId++, Uint32Array.from(prompt), maxTokens, 'root');
    this.scheduler.submit(sequence);
    return sequence;
  }

  /** One step, with a check that each sequence whose logits are wanted finds exactly its own tokens in the cache. */
  step(): Plan {
    const plan = this.scheduler.schedule();
    const batch = buildBatch(plan, this.#kv.blockSize, 0);
    this.#cache.write(batch);
    this.numFed += batch.numTokens;
    const tokens = new Map<Sequence, { tokenId: number }>();
    for (const [index, { sequence, wantsLogits }] of plan.entries.entries()) {
      const context = this.#cache.read(batch.blockTables[index]!, batch.contextLengths[index]!);
      expect(context).toEqual([...sequence.tokenIds.subarray(0, context.length)]);
      if (wantsLogits) tokens.set(sequence, { tokenId: nextToken(context) });
    }
    for (const [sequence] of this.scheduler.commit(plan, tokens)) {
      if (sequence.numGenerated === sequence.maxTokens) this.scheduler.finish(sequence);
    }
    return plan;
  }

  runToEnd(): void {
    while (this.scheduler.hasWork) this.step();
  }

  /** Blocks add up, and no block is in two tables unless it was shared by content. */
  checkBlocks(): void {
    const { pool, running, waiting } = this.scheduler;
    const tables = running.map(({ blocks }) => blocks);
    expect(pool.numUsed).toBe(new Set(tables.flat()).size);
    expect(pool.numUsed + pool.numCached + pool.numFree).toBe(pool.numBlocks);
    for (const sequence of waiting) expect(sequence.blocks).toEqual([]);
    const owners = new Map<number, Sequence>();
    for (const sequence of running) {
      expect(new Set(sequence.blocks).size).toBe(sequence.blocks.length);
      for (const [index, block] of sequence.blocks.entries()) {
        const other = owners.get(block);
        if (other) expect(prefix(sequence, index, this.#kv)).toEqual(prefix(other, index, this.#kv));
        owners.set(block, sequence);
      }
    }
  }
}

const prefix = (sequence: Sequence, index: number, { blockSize }: KvGeometry): number[] => {
  const end = (index + 1) * blockSize;
  expect(sequence.numComputed).toBeGreaterThanOrEqual(end);
  return [...sequence.tokenIds.subarray(0, end)];
};

export const answerOf = (sequence: Sequence): number[] => [...sequence.tokenIds.subarray(sequence.numPromptTokens)];
