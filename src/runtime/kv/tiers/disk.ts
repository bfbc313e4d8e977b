/**
 * Blocks in files, which outlive the process. Writing is behind: `put` only queues. Blocks that are put within a short time
 * and follow each other share a file (a segment, see segment-format.ts); a file is written under another name and renamed
 * when it is whole, so a killed process leaves whole files and scraps that the next start removes. There is no index
 * file: a start reads the headers of the files, whose number is limited. Eviction removes whole files, see segment-index.ts.
 */
import type { BlockKey } from '../block-key.ts';
import { SEAL_BYTES } from './cipher.ts';
import { decodeBody, HEADER_BYTES } from './segment-format.ts';
import { SegmentIndex } from './segment-index.ts';
import type { Fault, ReadResult, SegmentRead, SegmentStoreOptions, Segments } from './segment-store.ts';
import { SegmentThread } from './segment-thread.ts';
import { SharedBuffers, type SharedBytes } from './shared-buffers.ts';
import type { BlockTier, Loan, TierBlock, TierFault, TierStats, TierWarning } from './tier.ts';
import { WriteQueue } from './write-queue.ts';

export interface DiskTierOptions extends SegmentStoreOptions {
  /** Of files that this server may remove; those of other running servers in the directory come on top. */
  readonly maxBytes: number;
  /** Of payloads that wait to be written. */
  readonly maxQueuedBytes?: number;
  /** Each fault at most once a minute. */
  readonly onWarning?: (warning: TierWarning) => void;
}

const MAX_QUEUED_BYTES = 256 * 1024 ** 2;
/** Wait for more blocks to share a file with. */
const LINGER_MS = 200;
const WARNING_MS = 60_000;
/** Of silence, before files are rewritten. */
const COMPACTION_MS = 5000;
const NAME = 'disk';

export class DiskTier implements BlockTier {
  readonly name = NAME;
  readonly isDurable = true;
  readonly #options: DiskTierOptions;
  readonly #segments: Segments;
  readonly #index = new SegmentIndex();
  readonly #queue: WriteQueue;
  readonly #buffers = new SharedBuffers();
  readonly #warned = new Map<TierFault, number>();
  readonly #counts = {
    hits: 0,
    misses: 0,
    evictedBlocks: 0,
    corruptBlocks: 0,
    droppedBlocks: 0,
    failedBlocks: 0,
    readErrors: 0,
    threadDeaths: 0,
    sealedBytes: 0,
  };
  #draining: Promise<void> | undefined;
  /** While they were being written. */
  readonly #deleted = new Set<BlockKey>();
  #removing: Promise<void> = Promise.resolve();
  #linger: NodeJS.Timeout | undefined;
  #compacting: Promise<void> | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: DiskTierOptions, segments: Segments) {
    this.#options = options;
    this.#segments = segments;
    const { maxQueuedBytes = MAX_QUEUED_BYTES } = options;
    this.#queue = new WriteQueue(maxQueuedBytes, (key) => this.#index.order.isPinned(key));
  }

  /** Reads what is there. Never rejects: a directory that cannot be used makes a tier that has and keeps nothing. */
  static async open(options: DiskTierOptions, given?: Segments): Promise<DiskTier> {
    const segments = given ?? new SegmentThread(options, (message) => tier.#mourn(message));
    const tier: DiskTier = new DiskTier(options, segments);
    try {
      const { segments: found, sealedBytes, faults } = await segments.open(tier.#buffers.free);
      for (const fault of faults) tier.#blame(fault);
      tier.#counts.sealedBytes = sealedBytes;
      for (const { body, numWhole, ...segment } of found) {
        const { blocks, modelFingerprint, kvFormat } = decodeBody(body);
        const isForeign = modelFingerprint !== options.modelFingerprint || kvFormat !== options.kvFormat;
        tier.#index.add({ ...segment, isForeign, blocks: blocks.slice(0, numWhole) });
      }
      await tier.#makeRoom(0, true);
    } catch (error) {
      tier.#warn('read_failed', messageOf(error));
    }
    tier.#compactLater();
    return tier;
  }

  has(key: BlockKey): boolean {
    return this.isSaved(key) || this.#queue.find(key) !== undefined;
  }

  isSaved(key: BlockKey): boolean {
    return this.#index.find(key) !== undefined;
  }

  bytesOf(key: BlockKey): number {
    return this.#index.find(key)?.payloadBytes ?? this.#queue.find(key)?.payload.byteLength ?? 0;
  }

  childrenOf(parent: BlockKey): Iterable<readonly [BlockKey, Uint32Array]> {
    const queued = this.#queue.childrenOf(parent);
    const saved = this.#index.childrenOf(parent);
    return queued.length === 0 ? saved : new Map([...queued, ...saved]);
  }

  put(blocks: readonly TierBlock[]): void {
    if (this.#isClosed) return;
    for (const block of blocks) {
      if (this.#index.find(block.key)) this.#index.use(block.key);
      else if (this.#queue.find(block.key)) this.#deleted.delete(block.key);
      else this.#drop(this.#queue.add(block));
    }
    this.#schedule();
  }

  async lend(keys: readonly BlockKey[]): Promise<Loan> {
    const found = new Map<BlockKey, Uint8Array>();
    const reads = new Map<string, BlockKey[]>();
    const queued: TierBlock[] = [];
    let numBytes = 0;
    for (const key of new Set(keys)) {
      const block = this.#queue.find(key);
      const location = this.#index.find(key);
      if (block) queued.push(block);
      else if (location) {
        const { name } = location.segment;
        const siblings = reads.get(name);
        if (siblings) siblings.push(key);
        else reads.set(name, [key]);
        numBytes += location.payloadBytes + SEAL_BYTES;
        this.#index.use(key);
      }
    }
    await Promise.all(queued.map((block) => this.#readQueued(block, found)));
    const buffer = reads.size > 0 ? await this.#buffers.take(numBytes) : undefined;
    if (buffer) await this.#read(reads, buffer, found);
    const release = (): void => {
      if (buffer) this.#buffers.giveBack(buffer);
    };
    return { payloads: keys.map((key) => found.get(key)), release };
  }

  delete(keys: readonly BlockKey[]): void {
    for (const key of keys) if (!this.#queue.remove(key) && this.#queue.find(key)) this.#deleted.add(key);
    this.#deleteNow(keys);
  }

  pin(keys: readonly BlockKey[], change: 1 | -1): void {
    for (const key of keys) this.#index.order.pin(key, change);
  }

  weigh(keys: readonly BlockKey[], weight: number): void {
    for (const key of keys) this.#index.order.weigh(key, weight);
  }

  stats(): TierStats {
    const { bytes, numBlocks: blocks } = this.#index;
    const { maxBytes } = this.#options;
    return { tier: NAME, bytes, maxBytes, blocks, queuedBytes: this.#queue.bytes, ...this.#counts };
  }

  async flush(): Promise<void> {
    await this.#draining;
    await this.#drain();
    await this.#removing;
    try {
      await this.#segments.sync();
    } catch (error) {
      this.#warn('write_failed', messageOf(error));
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#quiet);
    await this.#compacting;
    await this.flush();
    try {
      await this.#segments.close();
    } catch (error) {
      this.#warn('write_failed', messageOf(error));
    }
  }

  /**
   * Rewrites small and mostly evicted files into full ones, as far as that is worth it. A new file is whole before the old
   * ones go: who is killed in between has two copies. Happens by itself when nothing else does.
   */
  compact(): Promise<void> {
    this.#compacting ??= this.#compactAll().finally(() => {
      this.#compacting = undefined;
    });
    return this.#compacting;
  }

  #compactLater(): void {
    clearTimeout(this.#quiet);
    if (!this.#isClosed) this.#quiet = setTimeout(() => void this.compact(), COMPACTION_MS).unref();
  }

  async #compactAll(): Promise<void> {
    while (!this.#isClosed && this.#queue.isEmpty) {
      const sparse = this.#index.findSparse(this.#options.maxBytes);
      if (!sparse || !(await this.#rewrite(sparse))) return;
    }
  }

  /** @returns false when it could not be done */
  async #rewrite({ reads, payloadBytes }: { reads: readonly SegmentRead[]; payloadBytes: number }): Promise<boolean> {
    const numBlocks = reads.reduce((sum, { keys }) => sum + keys.length, 0);
    const buffer = await this.#buffers.take(payloadBytes + numBlocks * SEAL_BYTES);
    try {
      const { written, keys, results } = await this.#segments.rewrite(reads, buffer);
      this.#blameAll(reads, results);
      if (written) this.#index.replace(written, keys, reads);
      await this.#remove(this.#index.takeUnwanted([]));
      return true;
    } catch (error) {
      this.#warn('write_failed', messageOf(error));
      return false;
    } finally {
      this.#buffers.giveBack(buffer);
    }
  }

  #schedule(): void {
    if (this.#queue.isEmpty || this.#draining) return;
    if (this.#queue.isFull) void this.#drain();
    else this.#linger ??= setTimeout(() => void this.#drain(), LINGER_MS);
  }

  #drain(): Promise<void> {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#draining ??= this.#writeAll().finally(() => {
      this.#draining = undefined;
      this.#schedule();
      this.#compactLater();
    });
    return this.#draining;
  }

  async #writeAll(): Promise<void> {
    while (!this.#queue.isEmpty) {
      const batch = this.#queue.take();
      try {
        await this.#write(batch);
      } catch (error) {
        this.#counts.failedBlocks += batch.length;
        this.#warn('write_failed', messageOf(error));
      }
      this.#queue.settle(batch);
      const deleted = batch.map(({ key }) => key).filter((key) => this.#deleted.delete(key));
      this.#deleteNow(deleted);
    }
  }

  #deleteNow(keys: readonly BlockKey[]): void {
    const names = this.#index.takeUnwanted(keys);
    this.#removing = this.#removing.then(() => this.#remove(names));
  }

  async #write(batch: readonly TierBlock[]): Promise<void> {
    const numBytes = batch.reduce((sum, { payload, tokenIds }) => sum + payload.byteLength + overhead(tokenIds), 0);
    const isPinned = batch.some(({ key }) => this.#index.order.isPinned(key));
    // Not by giving up what these blocks continue.
    const { parent } = batch[0]!;
    if (parent !== undefined) this.#index.order.hold(parent);
    const hasRoom = await this.#makeRoom(numBytes, isPinned);
    if (parent !== undefined) this.#index.order.release(parent);
    if (!hasRoom) {
      this.#drop(batch.length);
      return;
    }
    const loans = await Promise.all(batch.map(({ payload }) => payload.lend()));
    const lent = batch.flatMap((block, i) => {
      const loan = loans[i];
      return loan ? [{ ...block, ...loan }] : [];
    });
    this.#counts.failedBlocks += batch.length - lent.length;
    let isBack = false;
    const giveBack = (payloads: readonly (Uint8Array<ArrayBuffer> | undefined)[]): void => {
      if (isBack) return;
      isBack = true;
      for (const [i, block] of lent.entries()) block.giveBack(payloads[i]);
    };
    try {
      const blocks = lent.map(({ key, parent, tokenIds, bytes }) => ({ key, parent, tokenIds, bytes }));
      const written = await this.#segments.write(blocks, giveBack);
      const scanned = lent.map(({ key, parent, tokenIds, payload }) => {
        return { key, parent, tokenIds, payloadBytes: payload.byteLength };
      });
      this.#index.add({ ...written, blocks: scanned }, (i) => lent[i]!.weight);
    } finally {
      giveBack([]);
    }
  }

  async #makeRoom(numBytes: number, mayEvictPinned: boolean): Promise<boolean> {
    const { maxBytes } = this.#options;
    const unpinned = this.#index.makeRoom(numBytes, maxBytes, false);
    const rest = unpinned.fits || !mayEvictPinned ? undefined : this.#index.makeRoom(numBytes, maxBytes, true);
    if (!unpinned.fits) {
      this.#warn('pins_exceed_limit', `pinned KV blocks fill the disk's ${maxBytes} bytes: raise the limit, or unpin`);
    }
    this.#counts.evictedBlocks += unpinned.numBlocks + (rest?.numBlocks ?? 0);
    await this.#remove([...unpinned.names, ...(rest?.names ?? [])]);
    return (rest ?? unpinned).fits;
  }

  async #remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    try {
      await this.#segments.remove(names);
    } catch (error) {
      this.#warn('write_failed', messageOf(error));
    }
  }

  async #readQueued({ key, payload }: TierBlock, found: Map<BlockKey, Uint8Array>): Promise<void> {
    const bytes = await payload.read();
    if (!bytes) return;
    this.#counts.hits++;
    found.set(key, bytes);
  }

  async #read(
    reads: ReadonlyMap<string, readonly BlockKey[]>,
    into: SharedBytes,
    found: Map<BlockKey, Uint8Array>,
  ): Promise<void> {
    const wanted = [...reads].map(([name, keys]) => ({ name, keys }));
    try {
      const results = await this.#segments.read(wanted, into);
      this.#blameAll(wanted, results);
      for (const [i, { places }] of results.entries()) {
        for (const [n, key] of wanted[i]!.keys.entries()) {
          const place = places[n];
          if (place) found.set(key, into.subarray(place.offset, place.offset + place.byteLength));
        }
        this.#counts.misses += places.filter((place) => place === undefined).length;
        this.#counts.hits += places.filter((place) => place !== undefined).length;
      }
    } catch (error) {
      this.#counts.readErrors++;
      this.#warn('read_failed', messageOf(error));
    }
  }

  /** What could not be read is absent from now on. */
  #blameAll(reads: readonly SegmentRead[], results: readonly ReadResult[]): void {
    for (const [i, { places, fault, isLost }] of results.entries()) {
      if (!fault) continue;
      const { name, keys } = reads[i]!;
      this.#blame(fault);
      for (const [n, key] of keys.entries()) {
        // A copy in another file, written meanwhile, may be right.
        const isHere = this.#index.find(key)?.segment.name === name;
        if (!places[n] && fault.fault === 'corrupt' && isHere) this.#index.remove(key);
      }
      if (isLost) this.#index.removeSegment(name);
    }
  }

  #drop(numBlocks: number): void {
    if (numBlocks === 0) return;
    this.#counts.droppedBlocks += numBlocks;
    this.#warn('dropped', `the disk does not keep up, or is full: ${this.#counts.droppedBlocks} KV blocks not written`);
  }

  #mourn(message: string): void {
    this.#counts.threadDeaths++;
    this.#warn('thread_died', message);
  }

  #blame({ fault, message, numBlocks }: Fault): void {
    if (fault === 'corrupt') this.#counts.corruptBlocks += numBlocks;
    if (fault === 'read_failed') this.#counts.readErrors++;
    this.#warn(fault, message);
  }

  #warn(fault: TierFault, message: string): void {
    const now = performance.now();
    if (now - (this.#warned.get(fault) ?? Number.NEGATIVE_INFINITY) < WARNING_MS) return;
    this.#warned.set(fault, now);
    this.#options.onWarning?.({ tier: NAME, fault, message });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a block takes beside its payload, at most: its header and a seal. */
const overhead = (tokenIds: Uint32Array): number => HEADER_BYTES + tokenIds.byteLength;
