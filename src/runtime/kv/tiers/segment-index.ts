/**
 * Which block lies in which segment, and which segments go first. A file's bytes are free only when the file is gone, so an
 * evicted block stays readable until every block of its file is evicted; one that is used before then comes back.
 */
import type { BlockKey } from '../block-key.ts';
import { ChainOrder } from '../chain-order.ts';
import { ChildIndex } from './child-index.ts';
import { HEADER_BYTES } from './segment-format.ts';
import type { ScannedBlock, ScannedSegment, SegmentRead } from './segment-store.ts';

interface Segment {
  readonly name: string;
  readonly fileBytes: number;
  readonly isOwned: boolean;
  readonly isForeign: boolean;
  /** Of blocks that were here when it came; some may have a newer copy elsewhere now. */
  readonly keys: readonly BlockKey[];
  /** Of all its blocks. */
  readonly payloadBytes: number;
  /** Blocks that are here, and not evicted yet, with their payloads. */
  numWanted: number;
  wantedBytes: number;
}

interface Location extends ScannedBlock {
  readonly segment: Segment;
  isWanted: boolean;
}

/** More would make a start slow, which reads each one's header. */
const MAX_SEGMENTS = 20_000;
/** Of fewer bytes and fewer blocks, a segment is small. */
const SMALL_BYTES = 1024 ** 2;
const SMALL_BLOCKS = 128;
/** So many sparse segments are rewritten, or fewer once their dead blocks take this part of all the room there is. */
const MAX_SPARSE = 64;
const DEAD_PART = 1 / 8;
/** Rewritten at once, unless one segment has more. */
const REWRITTEN_BYTES = 4 * 1024 ** 2;
const REWRITTEN_BLOCKS = 256;

export class SegmentIndex {
  readonly #children = new ChildIndex();
  readonly order = new ChainOrder((key) => this.#children.of(key));
  readonly #locations = new Map<BlockKey, Location>();
  readonly #segments = new Map<string, Segment>();
  /** All of their blocks are evicted, damaged or elsewhere: to be removed. */
  readonly #unwanted = new Set<Segment>();
  /** Small, or mostly evicted. */
  readonly #sparse = new Set<Segment>();
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

  /**
   * Of two copies of a block, the one in the segment that was added last counts.
   * @param weightOf how much likelier than others' a block's chain is wanted again
   */
  add(
    { name, fileBytes, isOwned, isForeign = false, blocks }: ScannedSegment,
    weightOf: (index: number) => number | undefined = () => 1,
  ): void {
    const keys = blocks.map(({ key }) => key);
    const payloadBytes = blocks.reduce((sum, block) => sum + block.payloadBytes, 0);
    const counts = { payloadBytes, numWanted: 0, wantedBytes: 0 };
    const segment: Segment = { name, fileBytes, isOwned, isForeign, keys, ...counts };
    this.#segments.set(name, segment);
    if (isOwned) {
      this.#bytes += fileBytes;
      this.#numOwned++;
    }
    for (const [i, block] of blocks.entries()) {
      const { key, parent, payloadBytes, tokenIds } = block;
      const earlier = this.#locations.get(key);
      if (earlier) this.#unwant(earlier);
      else this.#children.add(key, parent);
      this.#locations.set(key, { key, parent, payloadBytes, tokenIds, segment, isWanted: isOwned });
      if (!isOwned) {
        this.order.remove(key);
        continue;
      }
      segment.numWanted++;
      segment.wantedBytes += payloadBytes;
      if (!this.order.has(key)) this.order.add(key, { parent, numTokens: tokenIds.length, weight: weightOf(i) });
    }
    this.#review(segment);
  }

  use(key: BlockKey): void {
    const location = this.#locations.get(key);
    if (!location?.segment.isOwned) return;
    if (!location.isWanted) this.#want(location);
    this.order.add(key, { parent: location.parent, numTokens: location.tokenIds.length });
  }

  /** The block is damaged, or wanted no more. */
  remove(key: BlockKey): void {
    const location = this.#locations.get(key);
    if (!location) return;
    this.#locations.delete(key);
    this.#children.remove(key, location.parent);
    this.order.remove(key);
    this.#unwant(location);
  }

  /** The file is gone. */
  removeSegment(name: string): void {
    const segment = this.#segments.get(name);
    if (!segment) return;
    // From the end: a chain's end goes before its beginning.
    for (const key of segment.keys.toReversed()) if (this.#locations.get(key)?.segment === segment) this.remove(key);
    this.#segments.delete(name);
    this.#unwanted.delete(segment);
    this.#sparse.delete(segment);
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
      const key = this.order.take(mayEvictPinned);
      if (key === undefined) break;
      this.order.remove(key);
      this.#unwant(this.#locations.get(key)!);
      names.push(...this.takeUnwanted([]));
    }
    return { names, numBlocks: numBefore - this.#locations.size, fits: fits() };
  }

  /**
   * Segments that are better rewritten into one, with their blocks that are not evicted, the oldest first.
   * @returns undefined when there are too few, or there is no room for both
   */
  findSparse(maxBytes: number): { reads: SegmentRead[]; payloadBytes: number } | undefined {
    const sparse = [...this.#sparse];
    const isFull = sparse.reduce((sum, segment) => sum + deadBytes(segment), 0) > maxBytes * DEAD_PART;
    if (sparse.length < MAX_SPARSE && !isFull) return undefined;
    const chosen: Segment[] = [];
    let [payloadBytes, numBlocks] = [0, 0];
    for (const segment of sparse.sort((a, b) => deadBytes(b) - deadBytes(a))) {
      const { numWanted, wantedBytes } = segment;
      const fits = payloadBytes + wantedBytes <= REWRITTEN_BYTES && numBlocks + numWanted <= REWRITTEN_BLOCKS;
      if (chosen.length > 0 && !fits) continue;
      chosen.push(segment);
      payloadBytes += wantedBytes;
      numBlocks += numWanted;
    }
    // One that is small alone would come out as it was.
    if (chosen.length === 1 && !isDead(chosen[0]!)) return undefined;
    if (this.#bytes + payloadBytes + numBlocks * HEADER_BYTES > maxBytes) return undefined;
    const reads = chosen.map((segment) => {
      return { name: segment.name, keys: segment.keys.filter((key) => this.#isWantedIn(key, segment)) };
    });
    // Names count up: parents come before their children.
    return { reads: reads.sort((a, b) => (a.name < b.name ? -1 : 1)), payloadBytes };
  }

  /**
   * A segment takes the place of those that it was made of. What was evicted or removed meanwhile stays so.
   * @param keys of its blocks
   */
  replace(segment: Omit<ScannedSegment, 'blocks'>, keys: readonly BlockKey[], sources: readonly SegmentRead[]): void {
    const names = new Set(sources.map(({ name }) => name));
    const moved = keys.flatMap((key) => this.#locations.get(key) ?? []);
    this.add({ ...segment, blocks: moved.filter(({ isWanted, segment: { name } }) => isWanted && names.has(name)) });
  }

  #isWantedIn(key: BlockKey, segment: Segment): boolean {
    const location = this.#locations.get(key);
    return location?.segment === segment && location.isWanted;
  }

  #want(location: Location): void {
    const { segment, payloadBytes } = location;
    location.isWanted = true;
    segment.numWanted++;
    segment.wantedBytes += payloadBytes;
    this.#review(segment);
  }

  #unwant(location: Location): void {
    if (!location.isWanted) return;
    const { segment, payloadBytes } = location;
    location.isWanted = false;
    segment.numWanted--;
    segment.wantedBytes -= payloadBytes;
    this.#review(segment);
  }

  #review(segment: Segment): void {
    if (segment.isOwned && segment.numWanted === 0 && this.#segments.has(segment.name)) this.#unwanted.add(segment);
    else this.#unwanted.delete(segment);
    if (isSparse(segment) && this.#segments.has(segment.name)) this.#sparse.add(segment);
    else this.#sparse.delete(segment);
  }
}

const deadBytes = ({ payloadBytes, wantedBytes }: Segment): number => payloadBytes - wantedBytes;

const isDead = ({ payloadBytes, wantedBytes }: Segment): boolean => wantedBytes < payloadBytes / 2;

const isSparse = (segment: Segment): boolean => {
  const isSmall = segment.fileBytes < SMALL_BYTES && segment.keys.length < SMALL_BLOCKS;
  return segment.isOwned && !segment.isForeign && segment.numWanted > 0 && (isSmall || isDead(segment));
};
