/** Which KV block is whose: a free list, reference counts, and an index of full blocks by content. No GPU type here. */
import assert from 'node:assert';
import type { BlockKey } from './block-key.ts';

/**
 * A block is free (no content worth keeping), used (referenced by unfinished sequences) or cached (unreferenced, but
 * its key may still match; it is taken again, the least recently used first, when the free ones are spent).
 */
export class BlockPool {
  readonly numBlocks: number;
  readonly #free: number[] = [];
  /** Unreferenced blocks that have a key; a Set keeps the order in which they were released. */
  readonly #cached = new Set<number>();
  readonly #references: Uint32Array;
  readonly #keys: (BlockKey | undefined)[];
  readonly #blockByKey = new Map<BlockKey, number>();
  readonly #onEvict: (key: BlockKey) => void;

  constructor(numBlocks: number, onEvict: (key: BlockKey) => void = () => {}) {
    this.#onEvict = onEvict;
    this.numBlocks = numBlocks;
    this.#references = new Uint32Array(numBlocks);
    this.#keys = new Array<BlockKey | undefined>(numBlocks).fill(undefined);
    for (let block = numBlocks - 1; block >= 0; block--) this.#free.push(block);
  }

  get numFree(): number {
    return this.#free.length;
  }

  get numCached(): number {
    return this.#cached.size;
  }

  get numUsed(): number {
    return this.numBlocks - this.numFree - this.numCached;
  }

  /** Blocks that `allocate` can still give. */
  get numAvailable(): number {
    return this.numFree + this.numCached;
  }

  /** Takes a block with one reference, evicting the least recently used cached block when none is free. */
  allocate(): number | undefined {
    const block = this.#free.pop() ?? this.#evict();
    if (block !== undefined) this.#references[block] = 1;
    return block;
  }

  /** The block with this content, used or cached; takes no reference. */
  find(key: BlockKey): number | undefined {
    return this.#blockByKey.get(key);
  }

  /** True for a block that `allocate` could take. */
  isCached(block: number): boolean {
    return this.#cached.has(block);
  }

  /** Takes one more reference to a used or cached block. */
  retain(block: number): void {
    const references = this.#references[block]!;
    assert(references > 0 || this.#cached.has(block), `block ${block} is free and cannot be shared`);
    this.#cached.delete(block);
    this.#references[block] = references + 1;
  }

  /** Gives one reference back. The last one makes the block cached if it has a key, else free. */
  release(block: number): void {
    const references = this.#references[block]!;
    assert(references > 0, `block ${block} was released more often than taken`);
    this.#references[block] = references - 1;
    if (references > 1) return;
    if (this.#keys[block] === undefined) this.#free.push(block);
    else this.#cached.add(block);
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
    const oldest = this.#cached.values().next();
    if (oldest.done) return undefined;
    const block = oldest.value;
    this.#cached.delete(block);
    const key = this.#keys[block]!;
    this.#blockByKey.delete(key);
    this.#keys[block] = undefined;
    this.#onEvict(key);
    return block;
  }
}
