/** Which pairs of symbols merge, into what, and in which order. */

const EMPTY = -1;

/** A hash table by open addressing: pairs are looked up for every byte of a prompt. Symbols and ranks are ≥ 0. */
export class MergeTable {
  #lefts: Int32Array;
  #rights: Int32Array;
  #ranks: Int32Array;
  #merged: Int32Array;
  #mask: number;
  #size = 0;
  #numRanks = 0;

  /** @param expectedSize pairs that will be added; more are possible */
  constructor(expectedSize: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * expectedSize)));
    this.#mask = capacity - 1;
    this.#lefts = new Int32Array(capacity).fill(EMPTY);
    this.#rights = new Int32Array(capacity);
    this.#ranks = new Int32Array(capacity);
    this.#merged = new Int32Array(capacity);
  }

  /** One more than the highest rank. */
  get numRanks(): number {
    return this.#numRanks;
  }

  /** Keeps the first entry of a pair. Lower ranks merge first; among equals the leftmost pair does. */
  add(left: number, right: number, rank: number, merged: number): void {
    if (2 * this.#size > this.#mask) this.#grow();
    let slot = hash(left, right) & this.#mask;
    while (this.#lefts[slot] !== EMPTY) {
      if (this.#lefts[slot] === left && this.#rights[slot] === right) return;
      slot = (slot + 1) & this.#mask;
    }
    this.#lefts[slot] = left;
    this.#rights[slot] = right;
    this.#ranks[slot] = rank;
    this.#merged[slot] = merged;
    this.#size++;
    this.#numRanks = Math.max(this.#numRanks, rank + 1);
  }

  /** Where the pair's entry is, or −1 when it does not merge; good until the next `add`. */
  find(left: number, right: number): number {
    const lefts = this.#lefts;
    const rights = this.#rights;
    const mask = this.#mask;
    for (let slot = hash(left, right) & mask; ; slot = (slot + 1) & mask) {
      const found = lefts[slot];
      if (found === left && rights[slot] === right) return slot;
      if (found === EMPTY) return -1;
    }
  }

  /** The pair's rank, or −1 when it does not merge. */
  rank(left: number, right: number): number {
    const slot = this.find(left, right);
    return slot < 0 ? -1 : this.#ranks[slot]!;
  }

  rankAt(slot: number): number {
    return this.#ranks[slot]!;
  }

  mergedAt(slot: number): number {
    return this.#merged[slot]!;
  }

  #grow(): void {
    const larger = new MergeTable(this.#mask + 1);
    for (const [slot, left] of this.#lefts.entries()) {
      if (left !== EMPTY) larger.add(left, this.#rights[slot]!, this.#ranks[slot]!, this.#merged[slot]!);
    }
    this.#lefts = larger.#lefts;
    this.#rights = larger.#rights;
    this.#ranks = larger.#ranks;
    this.#merged = larger.#merged;
    this.#mask = larger.#mask;
  }
}

const hash = (left: number, right: number): number => {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
};
