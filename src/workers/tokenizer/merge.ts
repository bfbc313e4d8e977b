/** Merges neighbouring symbols, best pair first: the one loop under byte-level and SentencePiece BPE. */

/** Which pairs of symbols merge, into what, and in which order. Symbols are integers below 2²⁵. */
export class MergeTable {
  readonly #index = new Map<number, number>();
  readonly #ranks: number[] = [];
  readonly #merged: number[] = [];

  /** Keeps the first entry of a pair. Lower ranks merge first; among equals the leftmost pair does. */
  add(left: number, right: number, rank: number, merged: number): void {
    const key = pairKey(left, right);
    if (this.#index.has(key)) return;
    this.#index.set(key, this.#ranks.length);
    this.#ranks.push(rank);
    this.#merged.push(merged);
  }

  /** The pair's rank, or −1 when it does not merge. */
  rank(left: number, right: number): number {
    const index = this.#index.get(pairKey(left, right));
    return index === undefined ? -1 : this.#ranks[index]!;
  }

  merged(left: number, right: number): number {
    return this.#merged[this.#index.get(pairKey(left, right))!]!;
  }
}

const pairKey = (left: number, right: number): number => left * 2 ** 25 + right;

/** A queue pays off above this many symbols; below it, looking at all pairs each time is faster. */
const MAX_SCANNED = 24;

/** Merges `symbols` in place until no pair merges, and returns how many are left at its front. */
export const mergeSymbols = (symbols: Int32Array, table: MergeTable): number =>
  symbols.length <= MAX_SCANNED ? mergeByScanning(symbols, table) : mergeByQueue(symbols, table);

const mergeByScanning = (symbols: Int32Array, table: MergeTable): number => {
  let length = symbols.length;
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let at = 0; at + 1 < length; at++) {
      const rank = table.rank(symbols[at]!, symbols[at + 1]!);
      if (rank >= 0 && rank < bestRank) {
        best = at;
        bestRank = rank;
      }
    }
    if (best < 0) return length;
    symbols[best] = table.merged(symbols[best]!, symbols[best + 1]!);
    symbols.copyWithin(best + 1, best + 2, length);
    length--;
  }
};

/** Positions fit in 26 bits and ranks in 27, so that rank and position order in one exact number. */
const POSITIONS = 2 ** 26;

const mergeByQueue = (symbols: Int32Array, table: MergeTable): number => {
  const count = symbols.length;
  const next = Int32Array.from({ length: count }, (_, at) => at + 1);
  const previous = Int32Array.from({ length: count }, (_, at) => at - 1);
  const queue = new MinQueue();
  const offer = (at: number): void => {
    const right = next[at]!;
    if (right >= count) return;
    const rank = table.rank(symbols[at]!, symbols[right]!);
    if (rank >= 0) queue.push(rank * POSITIONS + at);
  };
  for (let at = 0; at + 1 < count; at++) offer(at);
  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    const at = entry % POSITIONS;
    const right = next[at]!;
    // An entry is stale when its pair has changed since: then the pair at its place has another rank, or none.
    if (symbols[at]! < 0 || right >= count) continue;
    if (table.rank(symbols[at]!, symbols[right]!) !== Math.floor(entry / POSITIONS)) continue;
    symbols[at] = table.merged(symbols[at]!, symbols[right]!);
    symbols[right] = REMOVED;
    next[at] = next[right]!;
    if (next[at]! < count) previous[next[at]!] = at;
    offer(at);
    if (previous[at]! >= 0) offer(previous[at]!);
  }
  let length = 0;
  for (let at = 0; at < count; at = next[at]!) symbols[length++] = symbols[at]!;
  return length;
};

const REMOVED = -1;

/** A binary heap of numbers. */
class MinQueue {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= value) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
