/** Which KV block a tier below the pool gives up first: as in the pool, and leaves before their parents. */
import type { BlockKey } from './block-key.ts';
import { recomputeCost, WorthOrder } from './worth-order.ts';

/** What is known of a block when it comes. */
export interface NewBlock {
  readonly parent: BlockKey | undefined;
  readonly numTokens: number;
  /** How much likelier than others' its chain is wanted again. */
  readonly weight?: number | undefined;
}

interface Entry {
  readonly key: BlockKey;
  readonly parent: BlockKey | undefined;
  /** From the sequence's start to the block's end. */
  readonly depthTokens: number;
  weight: number;
  uses: number;
  /** The order's clock when it was last wanted. */
  lastUse: number;
  /** Of those in the order. */
  numChildren: number;
  /** In use now: not to be given up. */
  isHeld: boolean;
}

/**
 * The blocks of one tier. Chains come block by block, so that no block knows how long its chain is to become: only leaves
 * are in the order, and a block whose last child goes is worth at least as much as that was. Pins are counted by key,
 * whether the block is here or not: it may come later, or come back.
 */
export class ChainOrder {
  readonly #entries = new Map<BlockKey, Entry>();
  readonly #childrenOf: (key: BlockKey) => readonly BlockKey[];
  readonly #pins = new Map<BlockKey, number>();
  readonly #leaves = new WorthOrder<BlockKey>();
  /** Pinned leaves, which go when there is nothing else. */
  readonly #pinned = new WorthOrder<BlockKey>();

  /** @param childrenOf a block: those that are in the order, and perhaps others */
  constructor(childrenOf: (key: BlockKey) => readonly BlockKey[]) {
    this.#childrenOf = childrenOf;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: BlockKey): boolean {
    return this.#entries.has(key);
  }

  /** A block that is here already counts as used. */
  add(key: BlockKey, { parent, numTokens, weight = 1 }: NewBlock): void {
    const known = this.#entries.get(key);
    if (known) {
      known.weight = Math.max(known.weight, weight);
      this.use(key);
      return;
    }
    const above = parent === undefined ? undefined : this.#entries.get(parent);
    const depthTokens = (above?.depthTokens ?? 0) + numTokens;
    let numChildren = 0;
    for (const child of this.#childrenOf(key)) if (this.#entries.has(child)) numChildren++;
    const lastUse = this.#leaves.clock;
    const entry: Entry = { key, parent, depthTokens, weight, uses: 1, lastUse, numChildren, isHeld: false };
    this.#entries.set(key, entry);
    if (above) {
      // One more way to go on from there.
      if (above.numChildren > 0) above.uses++;
      else this.#withdraw(above);
      above.numChildren++;
    }
    this.#place(entry);
  }

  use(key: BlockKey): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.lastUse = this.#leaves.clock;
    entry.uses++;
    this.#place(entry);
  }

  /** Says anew how likely the block's chain is wanted again. */
  weigh(key: BlockKey, weight: number): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.weight = weight;
    this.#place(entry);
  }

  /** Keeps a block from being given up, until `release`. */
  hold(key: BlockKey): void {
    this.#setHeld(key, true);
  }

  release(key: BlockKey): void {
    this.#setHeld(key, false);
  }

  /** One more (or, negative, fewer) of those who want the block kept before all others. */
  pin(key: BlockKey, change: 1 | -1): void {
    const count = Math.max(0, (this.#pins.get(key) ?? 0) + change);
    if (count === 0) this.#pins.delete(key);
    else this.#pins.set(key, count);
    const entry = this.#entries.get(key);
    if (entry) this.#place(entry);
  }

  isPinned(key: BlockKey): boolean {
    return this.#pins.has(key);
  }

  /** Gives up a block to make room: all that stay are older by it. `remove` is to follow. Undefined: all of them are held. */
  take(mayBePinned: boolean): BlockKey | undefined {
    return this.#leaves.take(this.size) ?? (mayBePinned ? this.#pinned.take(this.size) : undefined);
  }

  /** Forgets the block. */
  remove(key: BlockKey): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#withdraw(entry);
    const above = entry.parent === undefined ? undefined : this.#entries.get(entry.parent);
    if (!above || --above.numChildren > 0) return;
    // Whoever wanted the child wanted its parent.
    above.uses = Math.max(above.uses, entry.uses);
    above.lastUse = Math.max(above.lastUse, entry.lastUse);
    above.weight = Math.max(above.weight, entry.weight);
    this.#place(above);
  }

  #setHeld(key: BlockKey, isHeld: boolean): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.isHeld = isHeld;
    this.#place(entry);
  }

  /** Puts an entry where its worth and state say. */
  #place(entry: Entry): void {
    const { key, uses, depthTokens, weight, lastUse, numChildren, isHeld } = entry;
    this.#withdraw(entry);
    if (isHeld || numChildren > 0) return;
    const worth = { uses, cost: recomputeCost(depthTokens) * weight };
    if (this.isPinned(key)) this.#pinned.set(key, worth);
    else this.#leaves.set(key, worth, lastUse);
  }

  #withdraw({ key }: Entry): void {
    if (!this.#leaves.delete(key)) this.#pinned.delete(key);
  }
}
