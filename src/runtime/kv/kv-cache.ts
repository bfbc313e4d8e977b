/** Which KV blocks each sequence holds, and which of them it need not compute. No GPU type, no clock. */
import assert from 'node:assert';
import type { BlockCopy, KvGeometry, KvGroup } from '../model-runner.ts';
import type { BlockTable, Sequence } from '../sequence.ts';
import { type BlockKey, groupKey } from './block-key.ts';
import { BlockPool } from './block-pool.ts';
import { blocksPerSequence, firstLiveBlock, maxBlocks } from './layer-groups.ts';
import { type LowerTiers, PrefixIndex, type Tail } from './prefix-index.ts';
import { recomputeCost } from './worth-order.ts';

/** A block that a lower tier could keep. */
export interface UnsavedBlock {
  readonly key: BlockKey;
  /** Of the block before it; of a sequence's first: the root key. */
  readonly parent: BlockKey;
  /** As many as a block has room for, or fewer: the end of a sequence. */
  readonly tokenIds: Uint32Array;
  /** How much likelier than others' its chain is wanted again. */
  readonly weight: number;
  readonly block: number;
}

/** Payloads to fetch from lower tiers into blocks that `sequence` holds already. */
export interface Restore {
  readonly sequence: Sequence;
  readonly items: readonly RestoredBlock[];
}

export interface RestoredBlock {
  readonly key: BlockKey;
  readonly block: number;
  /** Others may share it once it is there; a partial block is the sequence's own. */
  readonly isWhole: boolean;
}

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
  readonly #hasLowerTiers: boolean;
  readonly #index: PrefixIndex;
  #pool: BlockPool;
  /** Full blocks that a running sequence has yet to bring: who needs one of them waits instead of doing it too. */
  readonly #promised = new Map<BlockKey, Sequence>();
  readonly #promises = new Map<Sequence, BlockKey[]>();
  #copies: BlockCopy[] = [];
  #restores: Restore[] = [];
  readonly #unsaved = new Map<BlockKey, UnsavedBlock>();

  constructor({ blockSize, numBlocks, groups }: KvGeometry, maxChunk: number, lower?: LowerTiers) {
    this.blockSize = blockSize;
    this.groups = groups;
    this.#maxChunk = maxChunk;
    this.#hasLowerTiers = lower !== undefined;
    this.#index = new PrefixIndex(groups, blockSize, () => this.#pool, lower);
    this.#pool = this.#createPool(numBlocks);
  }

  get index(): PrefixIndex {
    return this.#index;
  }

  get pool(): Pick<BlockPool, 'numBlocks' | 'numUsed' | 'numCached' | 'numFree' | 'find' | 'pin' | 'unpin' | 'drop'> {
    return this.#pool;
  }

  /** True when a sequence of so many tokens fits the pool alone. */
  canHold(numTokens: number): boolean {
    return blocksPerSequence(this, numTokens, this.#maxChunk) <= this.#pool.numBlocks;
  }

  /** Forgets everything in the pool. No sequence may hold a block. */
  reset(): void {
    assert(this.#pool.numUsed === 0, 'sequences hold blocks');
    this.#pool = this.#createPool(this.#pool.numBlocks);
    this.#unsaved.clear();
    this.#index.clear();
  }

  /**
   * Gives a waiting sequence the prefix that is cached and blocks for its other known tokens, when they fit beside
   * what `running` may come to need. The last known token is always left to compute, since its logits are wanted.
   * What only a lower tier has is left to be restored: see `takeRestores`.
   * @returns false when the sequence has to wait: for room, or for a block that another one is bringing right now
   */
  admit(sequence: Sequence, running: readonly Sequence[]): boolean {
    const hit = this.#index.findWhole(sequence);
    if (this.#isPromised(sequence, hit)) return false;
    const tail = this.#index.findTail(sequence, hit);
    if (this.#take(sequence, running, hit, tail)) return true;
    // A tail's source needs a block beside its copy, which a full pool may not have.
    return tail !== undefined && this.#take(sequence, running, hit, undefined);
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
    this.#returnBorrowed(sequence);
    const numFullBlocks = Math.floor(sequence.numComputed / blockSize);
    for (let index = firstNewBlock; index < numFullBlocks; index++) {
      this.#publish(sequence, index, blockSize);
      this.#breakPromise(sequence.key(index, blockSize), sequence);
    }
    for (const [group, table] of sequence.tables.entries()) {
      const firstLive = firstLiveBlock(this.groups[group]!, sequence.numComputed, blockSize);
      const left = table.blocks.splice(0, firstLive - table.firstBlock);
      for (const block of left) this.#pool.release(block);
      table.firstBlock += left.length;
    }
  }

  /**
   * Gives all blocks back; the last, partial one stays findable too. The tail goes first, so that a chain is evicted
   * from its end and its beginning stays useful.
   */
  release(sequence: Sequence): void {
    for (const key of this.#promises.get(sequence) ?? []) this.#breakPromise(key, sequence);
    this.#promises.delete(sequence);
    this.#returnBorrowed(sequence);
    const { numComputed, tables } = sequence;
    const hasTail = tables.length > 0 && !sequence.restoring && numComputed % this.blockSize > 0;
    if (hasTail) this.#publish(sequence, Math.floor(numComputed / this.blockSize), numComputed % this.blockSize);
    sequence.restoring = undefined;
    const cost = recomputeCost(numComputed) * sequence.weight;
    const numBlocks = Math.max(0, ...tables.map(({ firstBlock, blocks }) => firstBlock + blocks.length));
    for (let index = numBlocks - 1; index >= 0; index--) {
      for (const { firstBlock, blocks } of tables) {
        const block = blocks[index - firstBlock];
        if (block !== undefined) this.#pool.release(block, cost, sequence.inheritedUses);
      }
    }
    tables.length = 0;
  }

  /** Copies that the next step must make before it computes. */
  takeCopies(): readonly BlockCopy[] {
    const copies = this.#copies;
    this.#copies = [];
    return copies;
  }

  /** What newly admitted sequences wait for; each is over with `restored`, or when its sequence is released. */
  takeRestores(): readonly Restore[] {
    const restores = this.#restores;
    this.#restores = [];
    return restores;
  }

  /** Records that all payloads of a restore are in their blocks. */
  restored({ sequence, items }: Restore): void {
    sequence.restoring = undefined;
    for (const { key, block, isWhole } of items) {
      if (isWhole) this.#pool.publish(block, key);
      this.#breakPromise(key, sequence);
    }
    for (let index = 0; (index + 1) * this.blockSize <= sequence.numComputed; index++) {
      const content = sequence.tokenIds.slice(index * this.blockSize, (index + 1) * this.blockSize);
      this.#index.added(sequence.parentKey(index, this.blockSize), sequence.key(index, this.blockSize), content);
    }
  }

  /** Passes over what a lower tier turned out not to have. */
  couldNotRestore(missing: readonly BlockKey[]): void {
    for (const key of missing) this.#index.couldNotRestore(key);
  }

  /** Up to `most` findable blocks that no lower tier has, oldest first. */
  takeUnsaved(most: number): UnsavedBlock[] {
    const taken: UnsavedBlock[] = [];
    for (const unsaved of this.#unsaved.values()) {
      if (taken.length === most) break;
      this.#unsaved.delete(unsaved.key);
      const isThere = this.#pool.find(unsaved.key) === unsaved.block;
      if (isThere && this.#index.needsSaving(unsaved.key)) taken.push(unsaved);
    }
    return taken;
  }

  #take(sequence: Sequence, running: readonly Sequence[], hit: number, tail: Tail | undefined): boolean {
    const numFound = hit * this.blockSize + (tail?.length ?? 0);
    const plans = this.groups.map((group, index) => {
      const firstBlock = Math.min(hit, firstLiveBlock(group, numFound, this.blockSize));
      return { firstBlock, keys: this.#keysOf(sequence, index, firstBlock, hit) };
    });
    const shared = plans.flatMap(({ keys }) => keys.flatMap((key) => this.#pool.find(key) ?? []));
    const copied = tail?.keys.flatMap((key) => this.#pool.find(key) ?? []) ?? [];
    const numRevived = [...shared, ...copied].filter((block) => this.#pool.isCached(block)).length;
    const peak = this.#peak(sequence, sequence.numTokens - numFound);
    const reserved = running.reduce((sum, other) => sum + this.#demand(other), 0);
    if (peak - shared.length + numRevived + reserved > this.#pool.numAvailable) return false;
    sequence.report ??= this.#index.report(sequence, hit, tail);
    for (const block of [...shared, ...copied]) this.#pool.retain(block);
    sequence.borrowed.push(...copied);
    sequence.inheritedUses = this.#usesBefore(sequence, hit);
    sequence.numComputed = numFound;
    const items: RestoredBlock[] = [];
    for (const { firstBlock, keys } of plans) {
      const blocks = keys.map((key) => this.#pool.find(key) ?? this.#restoreInto(items, key, true));
      sequence.tables.push({ firstBlock, blocks });
    }
    for (const [group, key] of (tail?.keys ?? []).entries()) this.#continueTail(sequence.tables[group]!, key, items);
    for (const [group, { window }] of this.groups.entries()) {
      if (window === undefined) assert(this.#growTable(sequence, group, sequence.numTokens));
    }
    this.#promise(sequence, hit, items);
    if (items.length > 0) {
      sequence.restoring = { sequence, items };
      this.#restores.push(sequence.restoring);
    }
    return true;
  }

  /** Has `takeUnsaved` give these too. */
  saveAgain(blocks: readonly UnsavedBlock[]): void {
    for (const unsaved of blocks) this.#unsaved.set(unsaved.key, unsaved);
  }

  #createPool(numBlocks: number): BlockPool {
    return new BlockPool(numBlocks, (key) => this.#index.evicted(key));
  }

  /** A prefix may be found far behind what is being computed, where windows have moved on. */
  #isPromised(sequence: Sequence, hit: number): boolean {
    if (this.#promised.size === 0) return false;
    const most = Math.floor((sequence.numTokens - 1) / this.blockSize);
    for (let index = 0; index < most; index++) {
      const key = sequence.key(index, this.blockSize);
      if (this.#promised.has(key) && (index >= hit || this.#pool.find(key) === undefined)) return true;
    }
    return false;
  }

  #keysOf(sequence: Sequence, group: number, firstBlock: number, end: number): BlockKey[] {
    const keys: BlockKey[] = [];
    for (let index = firstBlock; index < end; index++) {
      keys.push(groupKey(sequence.key(index, this.blockSize), group));
    }
    return keys;
  }

  /**
   * A turn of a conversation is as likely to be continued as the turns before it were. Where others go on from the same
   * prefix too, as from a system prompt, each of them is its share of that likely.
   */
  #usesBefore(sequence: Sequence, hit: number): number {
    if (hit === 0) return 1;
    const key = sequence.key(hit - 1, this.blockSize);
    const block = this.#pool.find(key);
    if (block === undefined) return 1;
    return Math.max(1, this.#pool.usesOf(block) / Math.max(1, this.#index.numContinuations(key)));
  }

  /** For what admission made sure of. */
  #allocate(): number {
    const block = this.#pool.allocate();
    assert(block !== undefined, 'an admitted sequence found no block');
    return block;
  }

  #restoreInto(items: RestoredBlock[], key: BlockKey, isWhole: boolean): number {
    const block = this.#allocate();
    items.push({ key, block, isWhole });
    return block;
  }

  /** Copies the tail's block, or has it restored, into one of the sequence's own. */
  #continueTail({ blocks }: BlockTable, key: BlockKey, items: RestoredBlock[]): void {
    const from = this.#pool.find(key);
    if (from === undefined) {
      blocks.push(this.#restoreInto(items, key, false));
      return;
    }
    const to = this.#allocate();
    blocks.push(to);
    this.#copies.push({ from, to });
  }

  /** Makes `length` tokens of a block findable, in every group. */
  #publish(sequence: Sequence, index: number, length: number): void {
    if (sequence.pooling !== undefined || sequence.isScored) return;
    const { blockSize } = this;
    const isWhole = length === blockSize;
    const key = isWhole ? sequence.key(index, blockSize) : sequence.tailKey(index, length, blockSize);
    const parent = sequence.parentKey(index, blockSize);
    const tokenIds = sequence.tokenIds.slice(index * blockSize, index * blockSize + length);
    for (const [group, { blocks, firstBlock }] of sequence.tables.entries()) {
      const block = blocks[index - firstBlock]!;
      const own = groupKey(key, group);
      if (!this.#pool.publish(block, own)) continue;
      if (group === 0) this.#index.added(parent, key, tokenIds);
      if (!this.#hasLowerTiers) continue;
      const { weight } = sequence;
      this.#unsaved.set(own, { key: own, parent: groupKey(parent, group), tokenIds, weight, block });
    }
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
  #promise(sequence: Sequence, hit: number, items: readonly RestoredBlock[]): void {
    const keys = items.filter(({ isWhole }) => isWhole).map(({ key }) => key);
    const numFullBlocks = Math.floor(sequence.numTokens / this.blockSize);
    for (let index = hit; index < numFullBlocks; index++) keys.push(sequence.key(index, this.blockSize));
    const own = keys.filter((key) => !this.#promised.has(key));
    for (const key of own) this.#promised.set(key, sequence);
    this.#promises.set(sequence, own);
  }

  #breakPromise(key: BlockKey, sequence: Sequence): void {
    if (this.#promised.get(key) === sequence) this.#promised.delete(key);
  }

  #returnBorrowed(sequence: Sequence): void {
    for (const block of sequence.borrowed) this.#pool.release(block);
    sequence.borrowed.length = 0;
  }
}
