/** Chooses which KV blocks to evict, in the pool and in the tiers below it: what costs least to compute again, weighed by how often it was wanted. */

/** What an item is worth, as far as that is known when it is put in order. */
export interface Worth {
  /** Times it was wanted. */
  readonly uses: number;
  /** What computing it again would cost, in any unit that is the same for all. */
  readonly cost: number;
}

interface Entry<Item> {
  readonly item: Item;
  readonly priority: number;
  /** Of two with the same priority, the one that was set first goes first. */
  readonly turn: number;
}

/**
 * Items in the order in which they should go. An item's priority is a clock plus uses · cost. With every item taken the
 * clock gains its worth, divided by the number of items: an item that is worth n times the others outlives n turnovers
 * of them all without being wanted, and then goes too. All operations take logarithmic time; of many items that are set
 * before the next one is taken, each takes constant time.
 * Source: GreedyDual-Size-Frequency, Cherkasova 1998, whose clock jumps to each priority taken: there, what streams
 * through the little room beside a large conversation ages that as fast as a stream through all of the room would.
 */
export class WorthOrder<Item> {
  readonly #current = new Map<Item, Entry<Item>>();
  /** A binary heap, the next to go on top; entries that are not current any more are passed over. */
  #heap: Entry<Item>[] = [];
  /** Leading entries of the heap that are in order; those behind were added since. */
  #numOrdered = 0;
  #clock = 0;
  #turn = 0;

  get size(): number {
    return this.#current.size;
  }

  has(item: Item): boolean {
    return this.#current.has(item);
  }

  /** What ages items: see `set`. */
  get clock(): number {
    return this.#clock;
  }

  /**
   * Puts the item where its worth says, wherever it was before.
   * @param since the clock when it was last wanted; absent: now
   */
  set(item: Item, { uses, cost }: Worth, since = this.#clock): void {
    const entry = { item, priority: since + uses * cost, turn: this.#turn++ };
    this.#current.set(item, entry);
    this.#heap.push(entry);
    if (this.#heap.length > 2 * this.#current.size + 64) this.#rebuild();
  }

  delete(item: Item): boolean {
    return this.#current.delete(item);
  }

  /**
   * Takes out the item that should go first.
   * @param numItems that the room holds, where not all of them are in the order
   */
  take(numItems = this.#current.size): Item | undefined {
    const entry = this.#pop();
    if (entry === undefined) return undefined;
    this.#clock += Math.max(0, entry.priority - this.#clock) / numItems;
    this.#current.delete(entry.item);
    return entry.item;
  }

  #pop(): Entry<Item> | undefined {
    this.#putInOrder();
    const heap = this.#heap;
    for (;;) {
      const top = heap[0];
      if (top === undefined) return undefined;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        this.#sink(0);
      }
      this.#numOrdered = heap.length;
      if (this.#current.get(top.item) === top) return top;
    }
  }

  #putInOrder(): void {
    const heap = this.#heap;
    const numAdded = heap.length - this.#numOrdered;
    if (numAdded > this.#numOrdered) {
      for (let at = (heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
    } else {
      for (let at = this.#numOrdered; at < heap.length; at++) this.#rise(at);
    }
    this.#numOrdered = heap.length;
  }

  #rise(start: number): void {
    const heap = this.#heap;
    const entry = heap[start]!;
    let at = start;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!goesBefore(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const entry = heap[start]!;
    let at = start;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && goesBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!goesBefore(heap[below]!, entry)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = entry;
  }

  #rebuild(): void {
    this.#heap = [...this.#current.values()];
    this.#numOrdered = 0;
  }
}

const goesBefore = <Item>(a: Entry<Item>, b: Entry<Item>): boolean =>
  a.priority < b.priority || (a.priority === b.priority && a.turn < b.turn);

/** Tokens of context at which attention costs as much as all else of a token: about right for models of a few billion. */
const ATTENTION_TOKENS = 16_384;

/**
 * What a token of a chain of `numTokens` costs to compute again, a token of a short one being 1. All blocks of a chain
 * get its whole length's cost: without one of them all behind it are of no use, so that none is worth less than those.
 */
export const recomputeCost = (numTokens: number): number => 1 + numTokens / ATTENTION_TOKENS;

/** How much likelier a session that goes on comes back than a request that belongs to none, or a session that ended. */
export const SESSION_WEIGHT = 4;
