/**
 * Which block lies in which segment, and which segments go first. A file's bytes are free only when the file is gone, so an
 * evicted block stays readable until every block of its file is evicted; one that is used before then comes back.
 */
import type { BlockKey } from '../block-key.ts';
import { EvictionOrder } from '../eviction.ts';
import { ChildIndex } from './child-index.ts';
import type { ScannedBlock, ScannedSegment } from './segment-store.ts';

interface Segment {
  readonly name: string;
  readonly fileBytes: number;
  readonly isOwned: boolean;
  readonly keys: Set<BlockKey>;
  /** Not evicted yet. */
  readonly wanted: Set<BlockKey>;
}

interface Location extends ScannedBlock {
  readonly segment: Segment;
}

/** More would make a start slow, which reads each one's header. */
const MAX_SEGMENTS = 20_000;

export class SegmentIndex {
  readonly order = new EvictionOrder();
  readonly #locations = new Map<BlockKey, Location>();
  readonly #children = new ChildIndex();
  readonly #segments = new Map<string, Segment>();
  /** All of their blocks are evicted, damaged or elsewhere: to be removed. */
  readonly #unwanted = new Set<Segment>();
  /** Files that may be removed, and their bytes. */
  #numOwned = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get numBlocks(): number {
    return this.#locations.size;
  }

  find(key: BlockKey): Location | undefined {
    return this.#locations.get(key);
  }

  childrenOf(parent: BlockKey): Iterable<readonly [BlockKey, Uint32Array]> {
    return this.#children.of(parent).map((key) => [key, this.#locations.get(key)!.tokenIds]);
  }

  /** Of two copies of a block, the one in the segment that was added last counts. */
  add({ name, fileBytes, isOwned, blocks }: ScannedSegment): void {
    const segment: Segment = { name, fileBytes, isOwned, keys: new Set(), wanted: new Set() };
    this.#segments.set(name, segment);
    if (isOwned) {
      this.#bytes += fileBytes;
      this.#numOwned++;
    }
    for (const block of blocks) {
      this.remove(block.key);
      this.#locations.set(block.key, { ...block, segment });
      this.#children.add(block.key, block.parent);
      segment.keys.add(block.key);
      if (!isOwned) continue;
      segment.wanted.add(block.key);
      this.order.add(block.key, block.parent, block.tokenIds.length);
    }
    this.#review(segment);
  }

  use(key: BlockKey): void {
    const location = this.#locations.get(key);
    if (!location?.segment.isOwned) return;
    location.segment.wanted.add(key);
    this.#review(location.segment);
    this.order.add(key, location.parent, location.tokenIds.length);
  }

  /** The block is damaged, or wanted no more. */
  remove(key: BlockKey): void {
    const location = this.#locations.get(key);
    if (!location) return;
    this.#locations.delete(key);
    this.#children.remove(key, location.parent);
    this.order.remove(key);
    location.segment.keys.delete(key);
    location.segment.wanted.delete(key);
    this.#review(location.segment);
  }

  /** The file is gone. */
  removeSegment(name: string): void {
    const segment = this.#segments.get(name);
    if (!segment) return;
    for (const key of [...segment.keys]) this.remove(key);
    this.#segments.delete(name);
    this.#unwanted.delete(segment);
    if (!segment.isOwned) return;
    this.#bytes -= segment.fileBytes;
    this.#numOwned--;
  }

  /** Removes blocks. @returns files that are to be removed */
  takeUnwanted(keys: readonly BlockKey[]): string[] {
    for (const key of keys) this.remove(key);
    const names = [...this.#unwanted].map(({ name }) => name);
    for (const name of names) this.removeSegment(name);
    return names;
  }

  /**
   * Evicts until so many bytes more fit under the limit.
   * @param mayEvictPinned when nothing else is left
   * @returns files to be removed, blocks that went with them, and whether there is room now
   */
  makeRoom(
    numBytes: number,
    maxBytes: number,
    mayEvictPinned: boolean,
  ): { names: string[]; numBlocks: number; fits: boolean } {
    const numBefore = this.#locations.size;
    const names = this.takeUnwanted([]);
    const fits = (): boolean => this.#bytes + numBytes <= maxBytes && this.#numOwned < MAX_SEGMENTS;
    while (numBytes <= maxBytes && !fits()) {
      const key = this.order.victim();
      if (key === undefined || (!mayEvictPinned && this.order.isPinned(key))) break;
      this.order.evict(key);
      const { segment } = this.#locations.get(key)!;
      segment.wanted.delete(key);
      this.#review(segment);
      names.push(...this.takeUnwanted([]));
    }
    return { names, numBlocks: numBefore - this.#locations.size, fits: fits() };
  }

  #review(segment: Segment): void {
    if (segment.isOwned && segment.wanted.size === 0 && this.#segments.has(segment.name)) this.#unwanted.add(segment);
    else this.#unwanted.delete(segment);
  }
}
