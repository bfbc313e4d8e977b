/** Blocks that wait to be written. Bounded: what there is no room for is dropped, the oldest unpinned first. */
import type { BlockKey } from '../block-key.ts';
import { ChildIndex } from './child-index.ts';
import type { TierBlock } from './tier.ts';

/** Large enough for a disk to be quick, small enough for reads to come between. */
const SEGMENT_BYTES = 16 * 1024 ** 2;
const SEGMENT_BLOCKS = 256;

export class WriteQueue {
  readonly #maxBytes: number;
  readonly #isPinned: (key: BlockKey) => boolean;
  readonly #waiting = new Map<BlockKey, TierBlock>();
  readonly #leaving = new Map<BlockKey, TierBlock>();
  readonly #children = new ChildIndex();
  #bytes = 0;

  constructor(maxBytes: number, isPinned: (key: BlockKey) => boolean) {
    this.#maxBytes = maxBytes;
    this.#isPinned = isPinned;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Enough for a whole segment. */
  get isFull(): boolean {
    return this.#waiting.size >= SEGMENT_BLOCKS || this.#bytes >= SEGMENT_BYTES;
  }

  find(key: BlockKey): TierBlock | undefined {
    return this.#waiting.get(key) ?? this.#leaving.get(key);
  }

  /** Blocks here that come next after `parent`. */
  childrenOf(parent: BlockKey): (readonly [BlockKey, Uint32Array])[] {
    return this.#children.of(parent).map((key) => [key, this.find(key)!.tokenIds]);
  }

  /** @returns how many blocks were dropped for it, itself perhaps */
  add(block: TierBlock): number {
    this.#waiting.set(block.key, block);
    this.#children.add(block.key, block.parent);
    this.#bytes += block.payload.byteLength;
    let numDropped = 0;
    while (this.#bytes > this.#maxBytes) {
      const victim = this.#victim() ?? block.key;
      if (!this.remove(victim)) break;
      numDropped++;
    }
    return numDropped;
  }

  /** @returns false when it does not wait */
  remove(key: BlockKey): boolean {
    const block = this.#waiting.get(key);
    if (!block) return false;
    this.#waiting.delete(key);
    this.#children.remove(key, block.parent);
    this.#bytes -= block.payload.byteLength;
    return true;
  }

  /** Takes a segment's worth of blocks that hang together, so that they can be evicted together too. */
  take(): TierBlock[] {
    const batch: TierBlock[] = [];
    const related = new Set<BlockKey>();
    let numBytes = 0;
    for (const block of this.#waiting.values()) {
      if (batch.length > 0 && !(block.parent !== undefined && related.has(block.parent))) continue;
      if (batch.length > 0 && numBytes + block.payload.byteLength > SEGMENT_BYTES) break;
      batch.push(block);
      related.add(block.key);
      numBytes += block.payload.byteLength;
      if (batch.length === SEGMENT_BLOCKS) break;
    }
    for (const block of batch) {
      this.#waiting.delete(block.key);
      this.#leaving.set(block.key, block);
    }
    return batch;
  }

  /** What was taken has been written, or not: it is no more to be found here. */
  settle(batch: readonly TierBlock[]): void {
    for (const { key, parent, payload } of batch) {
      this.#leaving.delete(key);
      this.#children.remove(key, parent);
      this.#bytes -= payload.byteLength;
    }
  }

  #victim(): BlockKey | undefined {
    for (const key of this.#waiting.keys()) if (!this.#isPinned(key)) return key;
    return undefined;
  }
}
