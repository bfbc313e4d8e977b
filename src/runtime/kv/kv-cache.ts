/** Which KV blocks each sequence holds, and which of them it need not compute. No GPU type, no clock. */
import assert from 'node:assert';
import type { CacheTier } from '../api.ts';
import type { BlockCopy, KvGeometry, KvGroup } from '../model-runner.ts';
import type { BlockTable, Sequence } from '../sequence.ts';
import { type BlockKey, groupKey } from './block-key.ts';
import { BlockPool } from './block-pool.ts';
import { blocksBeforeHit, blocksPerSequence, firstLiveBlock, maxBlocks } from './layer-groups.ts';

/** What lies below the pool: says which blocks it could bring back. */
export interface LowerTiers {
  tierOf(key: BlockKey): Exclude<CacheTier, 'pool'> | undefined;
  /** Blocks that come next after `parent`, with what they hold. */
  childrenOf(parent: BlockKey): Iterable<readonly [key: BlockKey, tokenIds: Uint32Array]>;
}

/** A block that a lower tier could keep. */
export interface UnsavedBlock {
  readonly key: BlockKey;
  /** Of the block before it; of a sequence's first: the root key. */
  readonly parent: BlockKey;
  /** As many as a block has room for, or fewer: the end of a sequence. */
  readonly tokenIds: Uint32Array;
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

/** The end of a found prefix: `length` tokens of a block that is copied before the sequence writes on in it. */
interface Tail {
  /** One a group. */
  readonly keys: readonly BlockKey[];
  readonly length: number;
}

/** What findable blocks hold, by the block before them. */
class Children {
  readonly #byParent = new Map<BlockKey, Map<BlockKey, Uint32Array>>();
  readonly #parents = new Map<BlockKey, BlockKey>();

  of(parent: BlockKey): Iterable<readonly [BlockKey, Uint32Array]> {
    return this.#byParent.get(parent) ?? [];
  }

  add(parent: BlockKey, key: BlockKey, tokenIds: Uint32Array): void {
    const siblings = this.#byParent.get(parent) ?? new Map<BlockKey, Uint32Array>();
    this.#byParent.set(parent, siblings.set(key, tokenIds));
    this.#parents.set(key, parent);
  }

  delete(key: BlockKey): void {
    const parent = this.#parents.get(key);
    if (parent === undefined) return;
    const siblings = this.#byParent.get(parent);
    siblings?.delete(key);
    if (siblings?.size === 0) this.#byParent.delete(parent);
    this.#parents.delete(key);
  }

  clear(): void {
    this.#byParent.clear();
    this.#parents.clear();
  }
}

const commonLength = (a: Uint32Array, b: Uint32Array): number => {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
};

/** A set that forgets its oldest keys. */
class RecentKeys {
  static readonly #maxKeys = 16_384;
  readonly #keys = new Set<BlockKey>();

  has(key: BlockKey): boolean {
    return this.#keys.has(key);
  }

  delete(key: BlockKey): void {
    this.#keys.delete(key);
  }

  add(key: BlockKey): void {
    this.#keys.add(key);
    if (this.#keys.size > RecentKeys.#maxKeys) this.#keys.delete(this.#keys.values().next().value!);
  }
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
  readonly #fullGroups: readonly number[];
  readonly #windowed: readonly { readonly group: number; readonly needed: number }[];
  readonly #lower: LowerTiers | undefined;
  #pool: BlockPool;
  /** Full blocks that a running sequence has yet to bring: who needs one of them waits instead of doing it too. */
  readonly #promised = new Map<BlockKey, Sequence>();
  readonly #promises = new Map<Sequence, BlockKey[]>();
  #copies: BlockCopy[] = [];
  #restores: Restore[] = [];
  readonly #unsaved = new Map<BlockKey, UnsavedBlock>();
  /** Of the first group: what follows each findable block. */
  readonly #children = new Children();
  readonly #evicted = new RecentKeys();
  /** What lower tiers said they had, and had not. */
  readonly #unusable = new RecentKeys();

  constructor({ blockSize, numBlocks, groups }: KvGeometry, maxChunk: number, lower?: LowerTiers) {
    this.blockSize = blockSize;
    this.groups = groups;
    this.#maxChunk = maxChunk;
    this.#lower = lower;
    const indices = [...groups.keys()];
    this.#fullGroups = indices.filter((group) => groups[group]!.window === undefined);
    this.#windowed = indices
      .filter((group) => groups[group]!.window !== undefined)
      .map((group) => ({ group, needed: blocksBeforeHit(groups[group]!, blockSize) }));
    this.#pool = this.#createPool(numBlocks);
  }

  get pool(): Pick<BlockPool, 'numBlocks' | 'numUsed' | 'numCached' | 'numFree'> {
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
    this.#children.clear();
  }

  /**
   * Gives a waiting sequence the prefix that is cached and blocks for its other known tokens, when they fit beside
   * what `running` may come to need. The last known token is always left to compute, since its logits are wanted.
   * What only a lower tier has is left to be restored: see `takeRestores`.
   * @returns false when the sequence has to wait: for room, or for a block that another one is bringing right now
   */
  admit(sequence: Sequence, running: readonly Sequence[]): boolean {
    const hit = this.#findPrefix(sequence);
    if (this.#isPromised(sequence, hit)) return false;
    const tail = this.#findTail(sequence, hit);
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
    for (const { group } of this.#windowed) {
      const table = sequence.tables[group]!;
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
    const numBlocks = Math.max(0, ...tables.map(({ firstBlock, blocks }) => firstBlock + blocks.length));
    for (let index = numBlocks - 1; index >= 0; index--) {
      for (const { firstBlock, blocks } of tables) {
        const block = blocks[index - firstBlock];
        if (block !== undefined) this.#pool.release(block);
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
      this.#children.add(sequence.parentKey(index, this.blockSize), sequence.key(index, this.blockSize), content);
    }
  }

  /** Passes over what a lower tier turned out not to have. */
  couldNotRestore(missing: readonly BlockKey[]): void {
    for (const key of missing) this.#unusable.add(key);
  }

  /** Up to `most` findable blocks that no lower tier has, oldest first. */
  takeUnsaved(most: number): UnsavedBlock[] {
    const taken: UnsavedBlock[] = [];
    for (const unsaved of this.#unsaved.values()) {
      if (taken.length === most) break;
      this.#unsaved.delete(unsaved.key);
      const isThere = this.#pool.find(unsaved.key) === unsaved.block;
      if (!isThere || this.#lowerTierOf(unsaved.key) !== undefined) continue;
      this.#unusable.delete(unsaved.key);
      taken.push(unsaved);
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
    this.#report(sequence, hit, tail);
    for (const block of [...shared, ...copied]) this.#pool.retain(block);
    sequence.borrowed.push(...copied);
    sequence.numComputed = numFound;
    const items: RestoredBlock[] = [];
    for (const { firstBlock, keys } of plans) {
      const blocks = keys.map((key) => this.#pool.find(key) ?? this.#restoreInto(items, key, true));
      sequence.tables.push({ firstBlock, blocks });
    }
    for (const [group, key] of (tail?.keys ?? []).entries()) this.#continueTail(sequence.tables[group]!, key, items);
    for (const group of this.#fullGroups) assert(this.#growTable(sequence, group, sequence.numTokens));
    this.#promise(sequence, hit, items);
    if (items.length > 0) {
      sequence.restoring = { sequence, items };
      this.#restores.push(sequence.restoring);
    }
    return true;
  }

  #createPool(numBlocks: number): BlockPool {
    return new BlockPool(numBlocks, (key) => {
      this.#evicted.add(key);
      this.#children.delete(key);
    });
  }

  #lowerTierOf(key: BlockKey): Exclude<CacheTier, 'pool'> | undefined {
    return this.#unusable.has(key) ? undefined : this.#lower?.tierOf(key);
  }

  #has(key: BlockKey): boolean {
    return this.#pool.find(key) !== undefined || this.#lowerTierOf(key) !== undefined;
  }

  /** Leading blocks whose KV the sequence may take over: whole in groups without a window, their end in the others. */
  #findPrefix(sequence: Sequence): number {
    const has = (index: number, group: number): boolean =>
      this.#has(groupKey(sequence.key(index, this.blockSize), group));
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

  /** The most known tokens behind `hit` whole blocks that some block begins with. */
  #findTail(sequence: Sequence, hit: number): Tail | undefined {
    const begin = hit * this.blockSize;
    const known = sequence.tokenIds.subarray(begin, Math.min(begin + this.blockSize, sequence.numTokens - 1));
    const parent = sequence.parentKey(hit, this.blockSize);
    let best: Tail | undefined;
    for (const children of [this.#children.of(parent), this.#lower?.childrenOf(parent) ?? []]) {
      for (const [key, tokenIds] of children) {
        const length = commonLength(known, tokenIds);
        // A few tokens of a block that goes on otherwise are computed sooner than they are copied.
        const isWhole = length === tokenIds.length || length === known.length;
        if (length <= (best?.length ?? 0) || (!isWhole && length < this.blockSize / 2)) continue;
        const keys = this.groups.map((_, group) => groupKey(key, group));
        if (keys.every((own) => this.#has(own))) best = { keys, length };
      }
    }
    return best;
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
    const { blockSize } = this;
    const isWhole = length === blockSize;
    const key = isWhole ? sequence.key(index, blockSize) : sequence.tailKey(index, length, blockSize);
    const parent = sequence.parentKey(index, blockSize);
    const tokenIds = sequence.tokenIds.slice(index * blockSize, index * blockSize + length);
    for (const [group, { blocks, firstBlock }] of sequence.tables.entries()) {
      const block = blocks[index - firstBlock]!;
      const own = groupKey(key, group);
      if (!this.#pool.publish(block, own)) continue;
      if (group === 0) this.#children.add(parent, key, tokenIds);
      if (this.#lower) this.#unsaved.set(own, { key: own, parent: groupKey(parent, group), tokenIds, block });
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

  /** Where the found tokens were, each counted at the farthest tier that a part of its block has to come from. */
  #report(sequence: Sequence, hit: number, tail: Tail | undefined): void {
    const found = { pool: 0, ram: 0, disk: 0 };
    const tierOf = (keys: readonly BlockKey[]): CacheTier => {
      const tiers = keys.map((key) => (this.#pool.find(key) === undefined ? this.#lowerTierOf(key) : 'pool'));
      return tiers.includes('disk') ? 'disk' : tiers.includes('ram') ? 'ram' : 'pool';
    };
    for (let index = 0; index < hit; index++) {
      const key = sequence.key(index, this.blockSize);
      found[tierOf(this.groups.map((_, group) => groupKey(key, group)))] += this.blockSize;
    }
    if (tail) found[tierOf(tail.keys)] += tail.length;
    const missing = (hit + 1) * this.blockSize <= sequence.numTokens ? sequence.key(hit, this.blockSize) : undefined;
    const computed = sequence.numTokens - found.pool - found.ram - found.disk;
    const reason = computed <= 1 ? 'none' : missing !== undefined && this.#evicted.has(missing) ? 'evicted' : 'new';
    sequence.report ??= { found, computed, reason };
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
