/** Merges neighbouring symbols, best pair first: the one loop under byte-level and SentencePiece BPE. */
import type { MergeTable } from './merge-table.ts';
import { MinQueue } from './min-queue.ts';

/** Up to this many symbols, looking at all pairs each time is fastest. */
const MAX_SCANNED = 32;
/** Above this many, lists of pairs by rank are faster than a heap, and their time is linear. */
const MAX_HEAPED = 10_000;

/** Merges the first `length` symbols in place until no pair merges, and returns how many are left at the front. */
export const mergeSymbols = (symbols: Int32Array, table: MergeTable, length = symbols.length): number => {
  if (length <= MAX_SCANNED) return mergeByScanning(symbols, table, length);
  const chain = new SymbolChain(symbols, table, length);
  if (length <= MAX_HEAPED) mergeByHeap(chain, length);
  else mergeByRank(chain, table, length);
  return chain.compact();
};

/** The entry of each pair of neighbours in `table`. */
const entries = new Int32Array(MAX_SCANNED);

const mergeByScanning = (symbols: Int32Array, table: MergeTable, length: number): number => {
  for (let at = 0; at + 1 < length; at++) entries[at] = table.find(symbols[at]!, symbols[at + 1]!);
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let at = 0; at + 1 < length; at++) {
      const entry = entries[at]!;
      if (entry < 0) continue;
      const rank = table.rankAt(entry);
      if (rank < bestRank) {
        best = at;
        bestRank = rank;
      }
    }
    if (best < 0) return length;
    symbols[best] = table.mergedAt(entries[best]!);
    length--;
    for (let at = best + 1; at < length; at++) {
      symbols[at] = symbols[at + 1]!;
      entries[at] = entries[at + 1]!;
    }
    if (best + 1 < length) entries[best] = table.find(symbols[best]!, symbols[best + 1]!);
    if (best > 0) entries[best - 1] = table.find(symbols[best - 1]!, symbols[best]!);
  }
};

const REMOVED = -1;

/** Symbols that know their neighbours: a merged pair stays at the place of its left symbol. */
class SymbolChain {
  readonly #symbols: Int32Array;
  readonly #table: MergeTable;
  readonly #length: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(symbols: Int32Array, table: MergeTable, length: number) {
    this.#symbols = symbols;
    this.#table = table;
    this.#length = length;
    this.#next = new Int32Array(length);
    this.#previous = new Int32Array(length);
    for (let at = 0; at < length; at++) {
      this.#next[at] = at + 1;
      this.#previous[at] = at - 1;
    }
  }

  /** The rank of the pair that begins at a place, or −1 when it does not merge or is gone. */
  rank(at: number): number {
    if (at < 0 || this.#symbols[at]! < 0) return -1;
    const right = this.#next[at]!;
    return right < this.#length ? this.#table.rank(this.#symbols[at]!, this.#symbols[right]!) : -1;
  }

  /** Merges the pair that begins at a place, and returns the place before it. */
  merge(at: number): number {
    const right = this.#next[at]!;
    const entry = this.#table.find(this.#symbols[at]!, this.#symbols[right]!);
    const after = this.#next[right]!;
    this.#symbols[at] = this.#table.mergedAt(entry);
    this.#symbols[right] = REMOVED;
    this.#next[at] = after;
    if (after < this.#length) this.#previous[after] = at;
    return this.#previous[at]!;
  }

  /** Moves what is left to the front and returns how much that is. */
  compact(): number {
    let length = 0;
    for (let at = 0; at < this.#length; at = this.#next[at]!) this.#symbols[length++] = this.#symbols[at]!;
    return length;
  }
}

/** Places fit in 26 bits and ranks in 27, so that rank and place order in one exact number. */
const PLACES = 2 ** 26;

const mergeByHeap = (chain: SymbolChain, length: number): void => {
  const queue = new MinQueue();
  const offer = (at: number): void => {
    const rank = chain.rank(at);
    if (rank >= 0) queue.push(rank * PLACES + at);
  };
  for (let at = 0; at < length; at++) offer(at);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) mergeOffered(chain, key, offer);
};

/** An offer is stale when its pair has changed since: then the pair at its place has another rank, or none. */
const mergeOffered = (chain: SymbolChain, key: number, offer: (at: number) => void): void => {
  const at = key % PLACES;
  if (chain.rank(at) !== Math.floor(key / PLACES)) return;
  const before = chain.merge(at);
  offer(at);
  offer(before);
};

/**
 * The same order without a heap: the places of each rank are a list, and ranks are taken from the lowest up. What a merge
 * makes has nearly always a higher rank than the merge itself; what has not waits in a small heap and goes first.
 */
const mergeByRank = (chain: SymbolChain, table: MergeTable, length: number): void => {
  const lists = new RankLists(table.numRanks, length);
  const urgent = new MinQueue();
  let current = -1;
  const offer = (at: number): void => {
    const rank = chain.rank(at);
    if (rank < 0) return;
    if (rank <= current) urgent.push(rank * PLACES + at);
    else lists.push(rank, at);
  };
  const mergeUrgent = (limit: number): void => {
    while (urgent.least < limit) mergeOffered(chain, urgent.pop()!, offer);
  };
  for (let at = length - 1; at >= 0; at--) offer(at);
  for (current = 0; current < table.numRanks; current++) {
    const places = lists.take(current);
    for (const at of places) {
      const key = current * PLACES + at;
      mergeUrgent(key);
      mergeOffered(chain, key, offer);
    }
    mergeUrgent((current + 1) * PLACES);
  }
};

const END = -1;

/** Linked lists of places, one for each rank. */
class RankLists {
  readonly #heads: Int32Array;
  readonly #places: Int32Array;
  readonly #followers: Int32Array;
  #size = 0;

  /** A text of n symbols makes at most n offers at first and two with each of its at most n merges. */
  constructor(numRanks: number, numSymbols: number) {
    this.#heads = new Int32Array(numRanks).fill(END);
    this.#places = new Int32Array(3 * numSymbols);
    this.#followers = new Int32Array(3 * numSymbols);
  }

  push(rank: number, place: number): void {
    this.#places[this.#size] = place;
    this.#followers[this.#size] = this.#heads[rank]!;
    this.#heads[rank] = this.#size++;
  }

  /** All places of a rank, from the left. */
  take(rank: number): Int32Array {
    let length = 0;
    for (let at = this.#heads[rank]!; at !== END; at = this.#followers[at]!) length++;
    const places = new Int32Array(length);
    let isSorted = true;
    let index = 0;
    for (let at = this.#heads[rank]!; at !== END; at = this.#followers[at]!) {
      places[index] = this.#places[at]!;
      if (index > 0 && places[index]! < places[index - 1]!) isSorted = false;
      index++;
    }
    return isSorted ? places : places.sort();
  }
}
