/** Merges neighbouring symbols, best pair first: the one loop under byte-level and SentencePiece BPE. */
import type { MergeTable } from './merge-table.ts';
import { MinQueue } from './min-queue.ts';

/** Up to this many symbols, looking at all pairs each time is fastest. */
const MAX_SCANNED = 32;
/** Longer sequences are merged a chunk at a time: their time is linear, and what they touch stays in the cache. */
const CHUNK_LENGTH = 1024;
/** Tokens before a chunk that are merged with it once more. */
const OVERLAP = 8;

/** Merges the first `length` symbols in place until no pair merges, and returns how many are left at the front. */
export const mergeSymbols = (symbols: Int32Array, table: MergeTable, length = symbols.length): number => {
  if (length <= MAX_SCANNED) return mergeByScanning(symbols, table, length);
  if (length <= 2 * CHUNK_LENGTH) return mergeByHeap(symbols, table, length).compact(symbols);
  return mergeByChunks(symbols, table, length);
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

  /** Takes the symbols over. */
  constructor(symbols: Int32Array, table: MergeTable) {
    this.#symbols = symbols;
    this.#table = table;
    this.#length = symbols.length;
    this.#next = new Int32Array(symbols.length);
    this.#previous = new Int32Array(symbols.length);
    for (let at = 0; at < symbols.length; at++) {
      this.#next[at] = at + 1;
      this.#previous[at] = at - 1;
    }
  }

  get first(): number {
    return this.#symbols[0]!;
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

  /** Writes what is left, and where each began (counted from `offset`), and returns how much that is. */
  compact(symbols: Int32Array, starts?: Int32Array, offset = 0): number {
    let length = 0;
    for (let at = 0; at < this.#length; at = this.#next[at]!) {
      if (starts) starts[length] = offset + at;
      symbols[length++] = this.#symbols[at]!;
    }
    return length;
  }
}

/** Places fit in 26 bits and ranks in 27, so that rank and place order in one exact number. */
const PLACES = 2 ** 26;

const mergeByHeap = (symbols: Int32Array, table: MergeTable, length: number): SymbolChain => {
  const chain = new SymbolChain(symbols.slice(0, length), table);
  const queue = new MinQueue();
  const offer = (at: number): void => {
    const rank = chain.rank(at);
    if (rank >= 0) queue.push(rank * PLACES + at);
  };
  for (let at = 0; at < length; at++) offer(at);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    const at = key % PLACES;
    // An offer is stale when its pair has changed since: then the pair at its place has another rank, or none.
    if (chain.rank(at) !== Math.floor(key / PLACES)) continue;
    const before = chain.merge(at);
    offer(at);
    offer(before);
  }
  return chain;
};

/**
 * Merges chunk after chunk, each together with the last tokens of what comes before it. The result is that of the whole:
 * a sequence of tokens is what its text merges to exactly when each two neighbours are what theirs merges to, since
 * merges on both sides of a border that none crosses keep their order. So a chunk may be joined where its first token is
 * the one that was there; else more tokens are merged again.
 */
const mergeByChunks = (symbols: Int32Array, table: MergeTable, length: number): number => {
  const tokens = new Int32Array(length);
  /** Where each token begins in `symbols`. */
  const starts = new Int32Array(length);
  let count = 0;
  for (let end = 0; end < length; ) {
    const begin = end;
    end = Math.min(length, begin + CHUNK_LENGTH);
    for (let overlap = OVERLAP; ; overlap *= 2) {
      const kept = Math.max(0, count - overlap);
      const from = kept < count ? starts[kept]! : begin;
      const chain = mergeByHeap(symbols.subarray(from, end), table, end - from);
      if (kept > 0 && chain.first !== tokens[kept]) continue;
      count = kept + chain.compact(tokens.subarray(kept), starts.subarray(kept), from);
      break;
    }
  }
  symbols.set(tokens.subarray(0, count));
  return count;
};
