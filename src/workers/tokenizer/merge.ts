/** Merges neighbouring symbols, best pair first: the one loop under byte-level and SentencePiece BPE. */
import type { MergeTable } from './merge-table.ts';
import { MinQueue } from './min-queue.ts';

/** Up to this many symbols, looking at all pairs each time is fastest. */
const MAX_SCANNED = 160;
/** Longer sequences are merged a chunk at a time: their time is linear. */
const CHUNK_LENGTH = 96;
/** Tokens before a chunk that are merged with it once more. */
const OVERLAP = 5;

/** Merges the first `length` symbols in place until no pair merges, and returns how many are left at the front. */
export const mergeSymbols = (symbols: Int32Array, table: MergeTable, length = symbols.length): number =>
  length <= MAX_SCANNED ? mergeByScanning(symbols, table, length) : mergeByChunks(symbols, table, length);

const NO_RANK = 0x7fffffff;
/** The entry of each pair of neighbours in the table, and its rank. */
const entries = new Int32Array(MAX_SCANNED);
const ranks = new Int32Array(MAX_SCANNED);

/** `starts`: numbers that go with the symbols; a merged pair has its left symbol's. */
const mergeByScanning = (symbols: Int32Array, table: MergeTable, length: number, starts?: Int32Array): number => {
  const look = (at: number): void => {
    const entry = table.find(symbols[at]!, symbols[at + 1]!);
    entries[at] = entry;
    ranks[at] = entry < 0 ? NO_RANK : table.rankAt(entry);
  };
  for (let at = 0; at + 1 < length; at++) look(at);
  for (;;) {
    let best = 0;
    let bestRank = NO_RANK;
    for (let at = 0; at + 1 < length; at++) {
      const rank = ranks[at]!;
      if (rank < bestRank) {
        best = at;
        bestRank = rank;
      }
    }
    if (bestRank === NO_RANK) return length;
    symbols[best] = table.mergedAt(entries[best]!);
    length--;
    for (let at = best + 1; at < length; at++) {
      symbols[at] = symbols[at + 1]!;
      entries[at] = entries[at + 1]!;
      ranks[at] = ranks[at + 1]!;
      if (starts) starts[at] = starts[at + 1]!;
    }
    if (best + 1 < length) look(best);
    if (best > 0) look(best - 1);
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
  compact(symbols: Int32Array, starts: Int32Array, offset: number): number {
    let length = 0;
    for (let at = 0; at < this.#length; at = this.#next[at]!) {
      starts[length] = offset + at;
      symbols[length++] = this.#symbols[at]!;
    }
    return length;
  }
}

/** Places fit in 26 bits and ranks in 27, so that rank and place order in one exact number. */
const PLACES = 2 ** 26;

const mergeByHeap = (symbols: Int32Array, table: MergeTable): SymbolChain => {
  const chain = new SymbolChain(symbols.slice(), table);
  const queue = new MinQueue();
  const offer = (at: number): void => {
    const rank = chain.rank(at);
    if (rank >= 0) queue.push(rank * PLACES + at);
  };
  for (let at = 0; at < symbols.length; at++) offer(at);
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

/** Merges `symbols`, which begin at `offset`, into `tokens` and the places where these begin; returns how many they are. */
const mergeWindow = (
  symbols: Int32Array,
  table: MergeTable,
  tokens: Int32Array,
  starts: Int32Array,
  offset: number,
): number => {
  if (symbols.length > MAX_SCANNED) return mergeByHeap(symbols, table).compact(tokens, starts, offset);
  for (let at = 0; at < symbols.length; at++) {
    tokens[at] = symbols[at]!;
    starts[at] = offset + at;
  }
  return mergeByScanning(tokens, table, symbols.length, starts);
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
      const before = tokens[kept];
      const added = mergeWindow(symbols.subarray(from, end), table, tokens.subarray(kept), starts.subarray(kept), from);
      if (kept > 0 && tokens[kept] !== before) continue;
      count = kept + added;
      break;
    }
  }
  symbols.set(tokens.subarray(0, count));
  return count;
};
