/**
 * Which KV block to give up first. Leaves go before their parents, pinned blocks last of all, and otherwise the block with
 * the least recompute cost × probability of reuse. No clock: the order's own age counts.
 */
import type { BlockKey } from './block-key.ts';

/** What the worth of keeping a block depends on. */
export interface BlockUse {
  /** The order's age when the block came or was last used. */
  readonly lastUse: number;
  /** Uses after the first. */
  readonly numUses: number;
  /** Tokens from the sequence's start to the block's end. */
  readonly depthTokens: number;
  /** Most continuations it has had at once: more than one makes it a shared prefix. */
  readonly numChildren: number;
  /** A session that is expected to go on needs the block. */
  readonly isSessionAlive: boolean;
}

/** Where attention costs as much as the weights: near 6 × the hidden size, for 2,048 of that. */
const ATTENTION_HEAVY_TOKENS = 12_288;
/** How much more often a session that goes on comes back than one that ended. */
const LIVE_WEIGHT = 4;

/**
 * The age up to which a block is worth keeping, as GreedyDual-Size-Frequency has it: the older a block, the more others
 * have come and gone since, so that what is dear but never used goes too, only later.
 * Source: Cherkasova 1998, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy".
 */
export const keepScore = ({ lastUse, numUses, depthTokens, numChildren, isSessionAlive }: BlockUse): number => {
  const cost = 1 + depthTokens / ATTENTION_HEAVY_TOKENS;
  const reuse = (1 + Math.log2(1 + numUses)) * (1 + Math.log2(Math.max(1, numChildren)));
  return lastUse + cost * reuse * (isSessionAlive ? LIVE_WEIGHT : 1);
};

interface Entry {
  readonly key: BlockKey;
  readonly parent: BlockKey | undefined;
  readonly depthTokens: number;
  lastUse: number;
  numUses: number;
  mostChildren: number;
  score: number;
  /** In use now: not to be given up. */
  isHeld: boolean;
  /** Where it stands in the heap; -1: it has children here, or is held. */
  position: number;
}

interface Standing {
  pins: number;
  sessions: number;
}

/**
 * The blocks of one tier in the order in which to give them up. `victim`, `add`, `use`, `remove`, `hold` and `release` take
 * O(log n). Pins and sessions are counted by key, whether the block is here or not: it may come later, or come back.
 */
export class EvictionOrder {
  readonly #entries = new Map<BlockKey, Entry>();
  /** Children that are here, also of parents that are not. */
  readonly #numChildren = new Map<BlockKey, number>();
  readonly #standings = new Map<BlockKey, Standing>();
  /** A binary heap of all that may go: the first to go at the top. */
  readonly #heap: Entry[] = [];
  #age = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** @param numTokens of the block itself; ignored when the block is here already, which counts as a use */
  add(key: BlockKey, parent: BlockKey | undefined, numTokens: number): void {
    if (this.#entries.has(key)) {
      this.use(key);
      return;
    }
    const above = parent === undefined ? undefined : this.#entries.get(parent);
    const mostChildren = this.#numChildren.get(key) ?? 0;
    const depthTokens = (above?.depthTokens ?? 0) + numTokens;
    const fresh = { lastUse: this.#age, numUses: 0, mostChildren, score: 0, isHeld: false, position: -1 };
    const entry: Entry = { key, parent, depthTokens, ...fresh };
    this.#entries.set(key, entry);
    if (parent !== undefined) {
      const siblings = (this.#numChildren.get(parent) ?? 0) + 1;
      this.#numChildren.set(parent, siblings);
      if (above) {
        above.mostChildren = Math.max(above.mostChildren, siblings);
        this.#place(above);
      }
    }
    this.#place(entry);
  }

  use(key: BlockKey): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.lastUse = this.#age;
    entry.numUses++;
    this.#place(entry);
  }

  /** Takes a block out of the order without giving it up, until `release`. */
  hold(key: BlockKey): void {
    this.#setHeld(key, true);
  }

  release(key: BlockKey): void {
    this.#setHeld(key, false);
  }

  /** One more (or, negative, fewer) of those who want the block kept before all others. */
  pin(key: BlockKey, change: 1 | -1): void {
    this.#stand(key, 'pins', change);
  }

  /** One more or fewer live session that the block belongs to. */
  belong(key: BlockKey, change: 1 | -1): void {
    this.#stand(key, 'sessions', change);
  }

  isPinned(key: BlockKey): boolean {
    return (this.#standings.get(key)?.pins ?? 0) > 0;
  }

  /** The block to give up next, which stays until it is removed; undefined: all are held. */
  victim(): BlockKey | undefined {
    return this.#heap[0]?.key;
  }

  /** Gives the block up to make room: all that stay are older by it. */
  evict(key: BlockKey): void {
    const entry = this.#entries.get(key);
    if (entry) this.#age = Math.max(this.#age, entry.score);
    this.remove(key);
  }

  /** Forgets the block: it is gone for another reason than lack of room. */
  remove(key: BlockKey): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#take(entry);
    if (entry.parent === undefined) return;
    const siblings = this.#numChildren.get(entry.parent)! - 1;
    if (siblings > 0) {
      this.#numChildren.set(entry.parent, siblings);
      return;
    }
    this.#numChildren.delete(entry.parent);
    const above = this.#entries.get(entry.parent);
    if (above) this.#place(above);
  }

  #setHeld(key: BlockKey, isHeld: boolean): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.isHeld = isHeld;
    this.#place(entry);
  }

  #stand(key: BlockKey, kind: keyof Standing, change: 1 | -1): void {
    const standing = this.#standings.get(key) ?? { pins: 0, sessions: 0 };
    standing[kind] = Math.max(0, standing[kind] + change);
    if (standing.pins === 0 && standing.sessions === 0) this.#standings.delete(key);
    else this.#standings.set(key, standing);
    const entry = this.#entries.get(key);
    if (entry) this.#place(entry);
  }

  /** Puts an entry where its score and state say. */
  #place(entry: Entry): void {
    const { key, lastUse, numUses, depthTokens, mostChildren } = entry;
    if (entry.isHeld || this.#numChildren.has(key)) {
      this.#take(entry);
      return;
    }
    const isSessionAlive = (this.#standings.get(key)?.sessions ?? 0) > 0;
    entry.score = keepScore({ lastUse, numUses, depthTokens, numChildren: mostChildren, isSessionAlive });
    if (entry.position < 0) {
      entry.position = this.#heap.length;
      this.#heap.push(entry);
    }
    this.#sink(this.#rise(entry.position));
  }

  #take(entry: Entry): void {
    const { position } = entry;
    if (position < 0) return;
    entry.position = -1;
    const last = this.#heap.pop()!;
    if (last === entry) return;
    this.#set(position, last);
    this.#sink(this.#rise(position));
  }

  #goesBefore(a: Entry, b: Entry): boolean {
    const [isPinned, isOtherPinned] = [this.isPinned(a.key), this.isPinned(b.key)];
    return isPinned === isOtherPinned ? a.score < b.score : isOtherPinned;
  }

  #set(position: number, entry: Entry): void {
    this.#heap[position] = entry;
    entry.position = position;
  }

  #rise(start: number): number {
    const entry = this.#heap[start]!;
    let position = start;
    while (position > 0) {
      const above = (position - 1) >> 1;
      if (!this.#goesBefore(entry, this.#heap[above]!)) break;
      this.#set(position, this.#heap[above]!);
      position = above;
    }
    this.#set(position, entry);
    return position;
  }

  #sink(start: number): void {
    const entry = this.#heap[start]!;
    let position = start;
    for (;;) {
      let below = 2 * position + 1;
      if (below >= this.#heap.length) break;
      const other = below + 1;
      if (other < this.#heap.length && this.#goesBefore(this.#heap[other]!, this.#heap[below]!)) below = other;
      if (!this.#goesBefore(this.#heap[below]!, entry)) break;
      this.#set(position, this.#heap[below]!);
      position = below;
    }
    this.#set(position, entry);
  }
}
