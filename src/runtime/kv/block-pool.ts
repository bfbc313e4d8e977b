/** Which KV block is whose: a free list, reference counts, and an index of full blocks by content. No GPU type here. */
import assert from 'node:assert';
import type { BlockKey } from './block-key.ts';
import { WorthOrder } from './worth-order.ts';

/**
 * A block is free (no content worth keeping), used (referenced by unfinished sequences) or cached (unreferenced, but
 * its key may still match; it is taken again, the one of least worth first, when the free ones are spent).
 */
export class BlockPool {
  readonly numBlocks: number;
  readonly #free: number[] = [];
  /** Unreferenced blocks that have a key. */
  readonly #cached = new WorthOrder<number>();
  /** Those of them whose key is pinned: taken when there is nothing else. */
  readonly #pinned = new WorthOrder<number>();
  /** Of blocks with a key: how often they were wanted, and the most that computing a chain with them would cost. */
  readonly #uses: Float64Array;
  readonly #costs: Float64Array;
  readonly #pins = new Map<BlockKey, number>();
  readonly #references: Uint32Array;
  readonly #keys: (BlockKey | undefined)[];
  readonly #blockByKey = new Map<BlockKey, number>();
  readonly #onEvict: (key: BlockKey) => void;

  constructor(numBlocks: number, onEvict: (key: BlockKey) => void = () => {}) {
    this.#onEvict = onEvict;
    this.numBlocks = numBlocks;
    this.#references = new Uint32Array(numBlocks);
    this.#uses = new Float64Array(numBlocks);
    this.#costs = new Float64Array(numBlocks);
    this.#keys = new Array<BlockKey | undefined>(numBlocks).fill(undefined);
    for (let block = numBlocks - 1; block >= 0; block--) this.#free.push(block);
  }

  get numFree(): number {
    return this.#free.length;
  }

  get numCached(): number {
    return this.#cached.size + this.#pinned.size;
  }

  get numUsed(): number {
    return this.numBlocks - this.numFree - this.numCached;
  }

  /** Blocks that `allocate` can still give. */
  get numAvailable(): number {
    return this.numFree + this.numCached;
  }

  /** Takes a block with one reference, evicting the cached block of least worth when none is free. */
  allocate(): number | undefined {
    const block = this.#free.pop() ?? this.#evict();
    if (block === undefined) return undefined;
    this.#references[block] = 1;
    this.#uses[block] = 1;
    this.#costs[block] = 0;
    return block;
  }

  /** The block with this content, used or cached; takes no reference. */
  find(key: BlockKey): number | undefined {
    return this.#blockByKey.get(key);
  }

  /** How often a block with a key was wanted. */
  usesOf(block: number): number {
    return this.#uses[block]!;
  }

  /** True for a block that `allocate` could take. */
  isCached(block: number): boolean {
    return this.#cached.has(block) || this.#pinned.has(block);
  }

  /** Takes one more reference to a used or cached block. */
  retain(block: number): void {
    const references = this.#references[block]!;
    assert(references > 0 || this.isCached(block), `block ${block} is free and cannot be shared`);
    this.#uncache(block);
    this.#references[block] = references + 1;
    this.#uses[block]!++;
  }

  /**
   * Gives one reference back. The last one makes the block cached if it has a key, else free.
   * A chain gives back its end first: of equal worth, what was given back first is evicted first.
   * @param cost of computing again the chain that was done with the block; see `recomputeCost`
   * @param uses how often the chain is known to have been wanted; those of the block itself count where they are more
   */
  release(block: number, cost = 1, uses = 1): void {
    const references = this.#references[block]!;
    assert(references > 0, `block ${block} was released more often than taken`);
    this.#references[block] = references - 1;
    this.#costs[block] = Math.max(this.#costs[block]!, cost);
    this.#uses[block] = Math.max(this.#uses[block]!, uses);
    if (references > 1) return;
    if (this.#keys[block] === undefined) this.#free.push(block);
    else this.#cache(block);
  }

  /** Blocks with a pinned key are evicted after all others. Pins count. */
  pin(key: BlockKey): void {
    this.#pins.set(key, (this.#pins.get(key) ?? 0) + 1);
    this.#reorder(key);
  }

  unpin(key: BlockKey): void {
    const count = this.#pins.get(key) ?? 0;
    if (count > 1) this.#pins.set(key, count - 1);
    else this.#pins.delete(key);
    this.#reorder(key);
  }

  /** Frees the block with this key, if there is one and nobody references it. */
  drop(key: BlockKey): void {
    const block = this.#blockByKey.get(key);
    if (block === undefined || !this.#uncache(block)) return;
    this.#forget(block);
    this.#free.push(block);
  }

  /**
   * Makes a used block findable, whose content is computed and stays as it is.
   * @returns false when another block already has this content: that one stays the one that is found
   */
  publish(block: number, key: BlockKey): boolean {
    assert(this.#references[block]! > 0, `block ${block} is not in use and cannot be published`);
    if (this.#blockByKey.has(key) || this.#keys[block] !== undefined) return false;
    this.#keys[block] = key;
    this.#blockByKey.set(key, block);
    return true;
  }

  #evict(): number | undefined {
    const block = this.#cached.take() ?? this.#pinned.take();
    if (block !== undefined) this.#forget(block);
    return block;
  }

  #cache(block: number): void {
    const order = this.#pins.has(this.#keys[block]!) ? this.#pinned : this.#cached;
    order.set(block, { uses: this.#uses[block]!, cost: this.#costs[block]! });
  }

  #uncache(block: number): boolean {
    return this.#cached.delete(block) || this.#pinned.delete(block);
  }

  /** A cached block goes where its key's pins say. */
  #reorder(key: BlockKey): void {
    const block = this.#blockByKey.get(key);
    if (block !== undefined && this.#uncache(block)) this.#cache(block);
  }

  #forget(block: number): void {
    const key = this.#keys[block]!;
    this.#blockByKey.delete(key);
    this.#keys[block] = undefined;
    this.#onEvict(key);
  }
}
