/** Which pairs of symbols merge, into what, and in which order. */

const EMPTY = -1;
/** Numbers of an entry, side by side for the processor's cache: left, right, rank, merged. */
const STRIDE = 4;
/** Bits of the filter for each place of the table. */
const FILTER_BITS = 8;

/** A hash table by open addressing: pairs are looked up for every byte of a prompt. Symbols and ranks are ≥ 0. */
export class MergeTable {
  #entries: Int32Array;
  #mask: number;
  /** One bit for each pair, at the lower bits of its hash: most pairs do not merge, and this is enough to tell. */
  #filter: Uint32Array;
  #filterMask: number;
  #size = 0;

  /** @param expectedSize pairs that will be added; more are possible */
  constructor(expectedSize: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, 1.5 * expectedSize)));
    this.#filter = new Uint32Array((FILTER_BITS * capacity) / 32);
    this.#filterMask = FILTER_BITS * capacity - 1;
    this.#mask = STRIDE * capacity - 1;
    this.#entries = new Int32Array(STRIDE * capacity).fill(EMPTY);
  }

  /** Keeps the first entry of a pair. Lower ranks merge first; among equals the leftmost pair does. */
  add(left: number, right: number, rank: number, merged: number): void {
    if (1.5 * STRIDE * this.#size > this.#mask) this.#grow();
    const entries = this.#entries;
    const hash = hashOf(left, right);
    const bit = hash & this.#filterMask;
    this.#filter[bit >>> 5]! |= 1 << (bit & 31);
    let at = (hash * STRIDE) & this.#mask;
    while (entries[at] !== EMPTY) {
      if (entries[at] === left && entries[at + 1] === right) return;
      at = (at + STRIDE) & this.#mask;
    }
    entries[at] = left;
    entries[at + 1] = right;
    entries[at + 2] = rank;
    entries[at + 3] = merged;
    this.#size++;
  }

  /** Where the pair's entry is, or −1 when it does not merge; good until the next `add`. */
  find(left: number, right: number): number {
    const entries = this.#entries;
    const mask = this.#mask;
    const hash = hashOf(left, right);
    const bit = hash & this.#filterMask;
    if ((this.#filter[bit >>> 5]! & (1 << (bit & 31))) === 0) return -1;
    for (let at = (hash * STRIDE) & mask; ; at = (at + STRIDE) & mask) {
      const found = entries[at]!;
      if (found === left && entries[at + 1] === right) return at;
      if (found === EMPTY) return -1;
    }
  }

  /** The pair's rank, or −1 when it does not merge. */
  rank(left: number, right: number): number {
    const entry = this.find(left, right);
    return entry < 0 ? -1 : this.rankAt(entry);
  }

  rankAt(entry: number): number {
    return this.#entries[entry + 2]!;
  }

  mergedAt(entry: number): number {
    return this.#entries[entry + 3]!;
  }

  #grow(): void {
    const old = this.#entries;
    const larger = new MergeTable(old.length / STRIDE);
    for (let at = 0; at < old.length; at += STRIDE) {
      if (old[at] !== EMPTY) larger.add(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
    }
    this.#entries = larger.#entries;
    this.#mask = larger.#mask;
    this.#filter = larger.#filter;
    this.#filterMask = larger.#filterMask;
  }
}

const hashOf = (left: number, right: number): number => {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
};
