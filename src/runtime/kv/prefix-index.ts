/** Finds how much of a sequence's KV there is already: in the pool, or in a tier below it. */
import type { CacheReport, CacheTier } from '../api.ts';
import type { KvGroup } from '../model-runner.ts';
import type { Sequence } from '../sequence.ts';
import { type BlockKey, groupKey } from './block-key.ts';
import type { BlockPool } from './block-pool.ts';
import { blocksBeforeHit } from './layer-groups.ts';

export type LowerTier = Exclude<CacheTier, 'pool'>;

/** What lies below the pool: says which blocks it could bring back. */
export interface LowerTiers {
  tierOf(key: BlockKey): LowerTier | undefined;
  /** Blocks that come next after `parent`, with what they hold. */
  childrenOf(parent: BlockKey): Iterable<readonly [key: BlockKey, tokenIds: Uint32Array]>;
}

/** The end of a found prefix: `length` tokens of a block that is copied before the sequence writes on in it. */
export interface Tail {
  /** Of the block that it is the beginning of, and what that holds. */
  readonly key: BlockKey;
  readonly tokenIds: Uint32Array;
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

/** Says whether a block counts as there. */
export type HasBlock = (key: BlockKey) => boolean;

/** Looks prefixes up by content. Who fills and empties the pool tells it what it holds. */
export class PrefixIndex {
  readonly #groups: readonly KvGroup[];
  readonly #blockSize: number;
  readonly #fullGroups: readonly number[];
  readonly #windowed: readonly { readonly group: number; readonly needed: number }[];
  readonly #lower: LowerTiers | undefined;
  readonly #pool: () => Pick<BlockPool, 'find'>;
  /** Of the first group: what follows each findable block. */
  readonly #children = new Children();
  readonly #continuations = new Map<BlockKey, number>();
  readonly #evicted = new RecentKeys();
  /** What lower tiers said they had, and had not. */
  readonly #unusable = new RecentKeys();

  constructor(
    groups: readonly KvGroup[],
    blockSize: number,
    pool: () => Pick<BlockPool, 'find'>,
    lower: LowerTiers | undefined,
  ) {
    this.#groups = groups;
    this.#blockSize = blockSize;
    this.#pool = pool;
    this.#lower = lower;
    const indices = [...groups.keys()];
    this.#fullGroups = indices.filter((group) => groups[group]!.window === undefined);
    this.#windowed = indices
      .filter((group) => groups[group]!.window !== undefined)
      .map((group) => ({ group, needed: blocksBeforeHit(groups[group]!, blockSize) }));
  }

  /** The pool can be asked for `key` from now on: `tokenIds` after what `parent` stands for. */
  added(parent: BlockKey, key: BlockKey, tokenIds: Uint32Array): void {
    this.#children.add(parent, key, tokenIds);
    if (tokenIds.length < this.#blockSize) return;
    this.#continuations.set(parent, this.numContinuations(parent) + 1);
  }

  /** Whole blocks that have come next after a block since it is in the pool, there still or not. */
  numContinuations(key: BlockKey): number {
    return this.#continuations.get(key) ?? 0;
  }

  evicted(key: BlockKey): void {
    this.#evicted.add(key);
    this.#children.delete(key);
    this.#continuations.delete(key);
  }

  /** The pool is empty. */
  clear(): void {
    this.#children.clear();
    this.#continuations.clear();
  }

  /** Passes over what a lower tier turned out not to have, until it is saved there again. */
  couldNotRestore(key: BlockKey): void {
    this.#unusable.add(key);
  }

  /** True when no lower tier has a block; from now on it is taken for granted that one will. */
  needsSaving(key: BlockKey): boolean {
    if (this.#lower === undefined || this.#lowerTierOf(key) !== undefined) return false;
    this.#unusable.delete(key);
    return true;
  }

  /** Leading blocks whose KV the sequence may take over: whole in groups without a window, their end in the others. */
  findWhole(sequence: Sequence, hasBlock: HasBlock = (key) => this.has(key)): number {
    const has = (index: number, group: number): boolean =>
      hasBlock(groupKey(sequence.key(index, this.#blockSize), group));
    const most = Math.floor((sequence.numTokens - 1) / this.#blockSize);
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
  findTail(sequence: Sequence, hit: number, hasBlock: HasBlock = (key) => this.has(key)): Tail | undefined {
    const begin = hit * this.#blockSize;
    const known = sequence.tokenIds.subarray(begin, Math.min(begin + this.#blockSize, sequence.numTokens - 1));
    const parent = sequence.parentKey(hit, this.#blockSize);
    let best: Tail | undefined;
    for (const children of [this.#children.of(parent), this.#lower?.childrenOf(parent) ?? []]) {
      for (const [key, tokenIds] of children) {
        const length = commonLength(known, tokenIds);
        // A few tokens of a block that goes on otherwise are computed sooner than they are copied.
        const isWhole = length === tokenIds.length || length === known.length;
        if (length <= (best?.length ?? 0) || (!isWhole && length < this.#blockSize / 2)) continue;
        const keys = this.#groups.map((_, group) => groupKey(key, group));
        if (keys.every(hasBlock)) best = { key, tokenIds, keys, length };
      }
    }
    return best;
  }

  /** Where the found tokens were, each counted at the farthest tier that a part of its block has to come from. */
  report(sequence: Sequence, hit: number, tail: Tail | undefined): CacheReport {
    const found = { pool: 0, ram: 0, disk: 0 };
    const tierOf = (keys: readonly BlockKey[]): CacheTier => {
      const tiers = keys.map((key) => (this.#pool().find(key) === undefined ? this.#lowerTierOf(key) : 'pool'));
      return tiers.includes('disk') ? 'disk' : tiers.includes('ram') ? 'ram' : 'pool';
    };
    for (let index = 0; index < hit; index++) {
      const key = sequence.key(index, this.#blockSize);
      found[tierOf(this.#groups.map((_, group) => groupKey(key, group)))] += this.#blockSize;
    }
    if (tail) found[tierOf(tail.keys)] += tail.length;
    const missing = (hit + 1) * this.#blockSize <= sequence.numTokens ? sequence.key(hit, this.#blockSize) : undefined;
    const computed = sequence.numTokens - found.pool - found.ram - found.disk;
    const reason = computed <= 1 ? 'none' : missing !== undefined && this.#evicted.has(missing) ? 'evicted' : 'new';
    return { found, computed, reason };
  }

  #lowerTierOf(key: BlockKey): LowerTier | undefined {
    return this.#unusable.has(key) ? undefined : this.#lower?.tierOf(key);
  }

  /** True when the pool or a lower tier has the block. */
  has(key: BlockKey): boolean {
    return this.#pool().find(key) !== undefined || this.#lowerTierOf(key) !== undefined;
  }
}
