/** Which KV blocks each sequence holds, and which of them it need not compute. No GPU type, no clock. */
import assert from 'node:assert';
import type { KvGeometry, KvGroup } from '../model-runner.ts';
import type { Sequence } from '../sequence.ts';
import { type BlockKey, groupKey } from './block-key.ts';
import { BlockPool } from './block-pool.ts';
import { blocksBeforeHit, blocksPerSequence, firstLiveBlock, maxBlocks } from './layer-groups.ts';

/**
 * A sequence has one block table for each group of layers. Groups without a window keep every block; the others give
 * back what no later query sees. A block's key names the whole prefix up to its end, so a windowed block stays right
 * although those before it are gone; what changes is when a prefix counts as found.
 */
export class KvCache {
  readonly blockSize: number;
  readonly groups: readonly KvGroup[];
  /** Most tokens a step computes of one sequence. */
  readonly #maxChunk: number;
  readonly #fullGroups: readonly number[];
  readonly #windowed: readonly { readonly group: number; readonly needed: number }[];
  #pool: BlockPool;
  /** Full blocks that a running sequence has yet to compute: who needs one of them waits instead of computing it too. */
  readonly #promised = new Map<BlockKey, Sequence>();

  constructor({ blockSize, numBlocks, groups }: KvGeometry, maxChunk: number) {
    this.blockSize = blockSize;
    this.groups = groups;
    this.#maxChunk = maxChunk;
    const indices = [...groups.keys()];
    this.#fullGroups = indices.filter((group) => groups[group]!.window === undefined);
    this.#windowed = indices
      .filter((group) => groups[group]!.window !== undefined)
      .map((group) => ({ group, needed: blocksBeforeHit(groups[group]!, blockSize) }));
    this.#pool = new BlockPool(numBlocks);
  }

  get pool(): Pick<BlockPool, 'numBlocks' | 'numUsed' | 'numCached' | 'numFree'> {
    return this.#pool;
  }

  /** True when a sequence of so many tokens fits the pool alone. */
  canHold(numTokens: number): boolean {
    return blocksPerSequence(this, numTokens, this.#maxChunk) <= this.#pool.numBlocks;
  }

  /** Forgets everything. No sequence may hold a block. */
  reset(): void {
    assert(this.#pool.numUsed === 0, 'sequences hold blocks');
    this.#pool = new BlockPool(this.#pool.numBlocks);
  }

  /**
   * Gives a waiting sequence the prefix that is cached and blocks for its other known tokens, when they fit beside
   * what `running` may come to need. The last known token is always left to compute, since its logits are wanted.
   * @returns false when the sequence has to wait: for room, or for a block that another one is computing right now
   */
  admit(sequence: Sequence, running: readonly Sequence[]): boolean {
    const hit = this.#findPrefix(sequence);
    if (this.#isPromised(sequence, hit)) return false;
    const found = this.groups.map((_, group) => this.#blocksOfPrefix(sequence, group, hit));
    const shared = found.flatMap(({ blocks }) => blocks);
    const numRevived = shared.filter((block) => this.#pool.isCached(block)).length;
    const peak = this.#peak(sequence, sequence.numTokens - hit * this.blockSize);
    const reserved = running.reduce((sum, other) => sum + this.#demand(other), 0);
    if (peak - shared.length + numRevived + reserved > this.#pool.numAvailable) return false;
    for (const block of shared) this.#pool.retain(block);
    sequence.tables.push(...found);
    sequence.numComputed = hit * this.blockSize;
    for (const group of this.#fullGroups) assert(this.#growTable(sequence, group, sequence.numTokens));
    this.#promise(sequence, hit);
    return true;
  }

  /** Makes sure that the next `numTokens` tokens have slots in every group. False: no block is left. */
  grow(sequence: Sequence, numTokens: number): boolean {
    return sequence.tables.every((_, group) => this.#growTable(sequence, group, sequence.numComputed + numTokens));
  }

  /** Records that the next `numTokens` tokens are computed: full blocks become findable, what left a window goes. */
  commit(sequence: Sequence, numTokens: number): void {
    const { blockSize } = this;
    const firstNewBlock = Math.floor(sequence.numComputed / blockSize);
    sequence.numComputed += numTokens;
    const numFullBlocks = Math.floor(sequence.numComputed / blockSize);
    for (let index = firstNewBlock; index < numFullBlocks; index++) {
      const key = sequence.key(index, blockSize);
      for (const [group, { blocks, firstBlock }] of sequence.tables.entries()) {
        this.#pool.publish(blocks[index - firstBlock]!, groupKey(key, group));
      }
      this.#breakPromise(key, sequence);
    }
    for (const { group } of this.#windowed) {
      const table = sequence.tables[group]!;
      const firstLive = firstLiveBlock(this.groups[group]!, sequence.numComputed, blockSize);
      const left = table.blocks.splice(0, firstLive - table.firstBlock);
      for (const block of left) this.#pool.release(block);
      table.firstBlock += left.length;
    }
  }

  /** Gives all blocks back; the tail goes first, so that a chain is evicted from its end and its beginning stays useful. */
  release(sequence: Sequence): void {
    if (sequence.tables.length === 0) return;
    const numFullBlocks = Math.floor(sequence.numTokens / this.blockSize);
    for (let index = Math.floor(sequence.numComputed / this.blockSize); index < numFullBlocks; index++) {
      this.#breakPromise(sequence.key(index, this.blockSize), sequence);
    }
    const numBlocks = Math.max(...sequence.tables.map(({ firstBlock, blocks }) => firstBlock + blocks.length));
    for (let index = numBlocks - 1; index >= 0; index--) {
      for (const { firstBlock, blocks } of sequence.tables) {
        const block = blocks[index - firstBlock];
        if (block !== undefined) this.#pool.release(block);
      }
    }
    sequence.tables.length = 0;
  }

  /** Leading blocks whose KV the sequence may take over: whole in groups without a window, their end in the others. */
  #findPrefix(sequence: Sequence): number {
    const has = (index: number, group: number): boolean =>
      this.#pool.find(groupKey(sequence.key(index, this.blockSize), group)) !== undefined;
    const most = Math.floor((sequence.numTokens - 1) / this.blockSize);
    let hit = most;
    if (this.#fullGroups.length > 0) {
      hit = 0;
      while (hit < most && this.#fullGroups.every((group) => has(hit, group))) hit++;
    }
    // A hole in what the next query sees ends the prefix before it.
    for (let index = hit - 1; index >= 0 && this.#windowed.some(({ needed }) => index >= hit - needed); index--) {
      if (this.#windowed.some(({ group, needed }) => index >= hit - needed && !has(index, group))) hit = index;
    }
    return hit;
  }

  /** Without windows the first missing block decides; with them, a prefix may be found far behind what is computed. */
  #isPromised(sequence: Sequence, hit: number): boolean {
    const most = Math.floor((sequence.numTokens - 1) / this.blockSize);
    const end = this.#windowed.length > 0 ? most : Math.min(most, hit + 1);
    for (let index = hit; index < end; index++) {
      if (this.#promised.has(sequence.key(index, this.blockSize))) return true;
    }
    return false;
  }

  /** What of a found prefix the group still needs. */
  #blocksOfPrefix(sequence: Sequence, group: number, hit: number): { firstBlock: number; blocks: number[] } {
    const firstBlock = Math.min(hit, firstLiveBlock(this.groups[group]!, hit * this.blockSize, this.blockSize));
    const blocks: number[] = [];
    for (let index = firstBlock; index < hit; index++) {
      blocks.push(this.#pool.find(groupKey(sequence.key(index, this.blockSize), group))!);
    }
    return { firstBlock, blocks };
  }

  #growTable(sequence: Sequence, group: number, numTokens: number): boolean {
    const { firstBlock, blocks } = sequence.tables[group]!;
    const end = Math.ceil(numTokens / this.blockSize);
    while (firstBlock + blocks.length < end) {
      const block = this.#pool.allocate();
      if (block === undefined) return false;
      blocks.push(block);
    }
    return true;
  }

  /** Most blocks that the sequence holds at once while its last `numPending` known tokens are computed. */
  #peak({ numTokens }: Sequence, numPending: number): number {
    const chunk = Math.min(numPending, this.#maxChunk);
    return this.groups.reduce((sum, group) => sum + maxBlocks(group, numTokens, chunk, this.blockSize), 0);
  }

  /** Blocks to keep back for a running sequence: those of its known tokens, and one more a group to generate into. */
  #demand(sequence: Sequence): number {
    const held = sequence.tables.reduce((sum, { blocks }) => sum + blocks.length, 0);
    return Math.max(this.groups.length, this.#peak(sequence, sequence.numPending) - held);
  }

  /** Only what nobody else has promised already. */
  #promise(sequence: Sequence, hit: number): void {
    const numFullBlocks = Math.floor(sequence.numTokens / this.blockSize);
    for (let index = hit; index < numFullBlocks; index++) {
      const key = sequence.key(index, this.blockSize);
      if (!this.#promised.has(key)) this.#promised.set(key, sequence);
    }
  }

  #breakPromise(key: BlockKey, sequence: Sequence): void {
    if (this.#promised.get(key) === sequence) this.#promised.delete(key);
  }
}
