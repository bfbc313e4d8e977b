/** Segments as files: writes, scans, reads and removes them. Runs in the disk tier's thread; only tests run it elsewhere. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { seal } from './cipher.ts';
import { type FileSystem, nodeFileSystem, reasonOf, syncFile, syncPath, systemCode, writeAll } from './file-system.ts';
import type { Bytes } from './payload.ts';
import {
  decodeBody,
  encodeHeader,
  type RawHeader,
  type SegmentBlock,
  type SegmentOwner,
  storedBytes,
} from './segment-format.ts';
import { type Place, SegmentReader } from './segment-reader.ts';
import type { SharedBytes } from './shared-buffers.ts';
import type { TierFault } from './tier.ts';
import { TOUCH_MS, WriterFolders } from './writer-folders.ts';

/** `always`: before a block counts as saved; `interval`: within a second after; `never`: when the system likes. */
export type FsyncPolicy = 'always' | 'interval' | 'never';

export interface SegmentStoreOptions extends SegmentOwner {
  readonly directory: string;
  readonly fsync: FsyncPolicy;
  /** 32 bytes; absent: files are plain. */
  readonly encryptionKey?: Uint8Array;
}

/** What a store leaves to another one of the same process that takes its place. */
export interface StoreHeritage {
  /** Folders that it holds. */
  readonly folders: readonly string[];
  /** Of the last segment. */
  readonly counter: number;
}

/** A fault, with the message to warn with. */
export interface Fault {
  readonly fault: TierFault;
  readonly message: string;
  readonly numBlocks: number;
}

export type ScannedBlock = Omit<SegmentBlock, 'checksum'>;

export interface ScannedSegment {
  /** Folder and file. */
  readonly name: string;
  readonly fileBytes: number;
  readonly isOwned: boolean;
  /** Of another model or KV format: counted and evicted as others are, and never rewritten, which only its own model can. */
  readonly isForeign?: boolean;
  readonly blocks: readonly ScannedBlock[];
}

/** A segment with its blocks as the file has them: to decode them where they are used is faster than to post them. */
export interface ScannedFile extends Omit<ScannedSegment, 'blocks'> {
  readonly body: Bytes;
  /** Blocks, from the first, that the file has in full. */
  readonly numWhole: number;
}

export interface Scan extends StoreHeritage {
  /** The oldest first. */
  readonly segments: readonly ScannedFile[];
  readonly sealedBytes: number;
  readonly faults: readonly Fault[];
}

/** A segment that was written just now. */
export interface WrittenSegment extends Omit<ScannedSegment, 'blocks'>, StoreHeritage {}

export interface Rewritten {
  readonly written: WrittenSegment | undefined;
  /** Blocks in the new file. */
  readonly keys: readonly string[];
  readonly results: readonly ReadResult[];
}

export interface WritableBlock {
  readonly key: string;
  readonly parent: string | undefined;
  readonly tokenIds: Uint32Array;
  readonly bytes: Bytes;
}

export interface SegmentRead {
  readonly name: string;
  readonly keys: readonly string[];
}

export interface ReadResult {
  /** Where the payloads lie now; undefined: damaged, or gone. */
  readonly places: readonly (Place | undefined)[];
  readonly fault?: Fault;
  /** The whole file is gone or useless. */
  readonly isLost: boolean;
}

/** What the disk tier asks of its files, wherever they are served. All may reject, with a message that names the file. */
export interface Segments {
  /** @param buffers that are going to be read into: their pages are made ready, but nobody waits for that */
  open(buffers?: readonly SharedBytes[]): Promise<Scan>;
  /** @param onWritten given the payloads back as soon as the file needs them no more, also when it fails */
  write(blocks: readonly WritableBlock[], onWritten: (payloads: Bytes[]) => void): Promise<WrittenSegment>;
  /** @param into has room for all of the blocks, as they are stored, and belongs to the call until it is over */
  read(reads: readonly SegmentRead[], into: SharedBytes): Promise<ReadResult[]>;
  /**
   * Writes blocks of several files into one new file; the old ones stay.
   * @param into as for `read`
   * @returns the new file, undefined when no block could be read, and what `read` would say
   */
  rewrite(reads: readonly SegmentRead[], into: SharedBytes): Promise<Rewritten>;
  remove(names: readonly string[]): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const ENDING = '.kv';
const SYNC_MS = 1000;
/** Files read at a scan before others get a turn. */
const SCAN_FILES = 64;

/** A block to be written, wherever its payload lies. */
type EncodedBlock = Omit<WritableBlock, 'bytes'> & { readonly bytes: Uint8Array };

type CountedFile = ScannedFile & { readonly counter: number };

export class SegmentStore implements Segments {
  readonly #options: SegmentStoreOptions;
  readonly #fs: FileSystem;
  readonly #folders: WriterFolders;
  readonly #reader: SegmentReader;
  /** Written, and not yet known to survive a loss of power. */
  readonly #unsynced = new Set<string>();
  #counter = 0;
  #timers: NodeJS.Timeout[] = [];

  /** @param heritage of a store that died; it is not to be opened then */
  constructor(options: SegmentStoreOptions, fs: FileSystem = nodeFileSystem, heritage?: StoreHeritage) {
    this.#options = options;
    this.#fs = fs;
    this.#folders = new WriterFolders(options.directory, fs, heritage?.folders);
    this.#reader = new SegmentReader(options, fs);
    if (!heritage) return;
    this.#counter = heritage.counter;
    this.#startTimers();
  }

  /** Reads headers alone, also those of other models, which count towards the limit. A directory that cannot be used is a fault, not an error. */
  async open(): Promise<Scan> {
    const faults: Fault[] = [];
    const found: CountedFile[] = [];
    let sealedBytes = 0;
    try {
      this.#fs.mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
      for (const { name: folder, isOwned } of this.#folders.takeAll()) {
        if (!isOwned) faults.push(this.#fault('shared', `${folder} is another server's, or read-only: only read`));
        sealedBytes += await this.#scanFolder(folder, isOwned, found, faults);
      }
      this.#folders.own();
    } catch (error) {
      faults.push(this.#fault('write_failed', reasonOf(error)));
    }
    if (sealedBytes > 0) {
      const what = `${sealedBytes} bytes of another key or version are left alone: give that key, or remove them`;
      faults.push(this.#fault('sealed', what));
    }
    found.sort((a, b) => a.counter - b.counter);
    this.#counter = Math.max(0, ...found.slice(-1).map(({ counter }) => counter));
    this.#startTimers();
    return { segments: found, sealedBytes, faults, folders: this.#folders.held, counter: this.#counter };
  }

  async write(blocks: readonly WritableBlock[], onWritten: (payloads: Bytes[]) => void): Promise<WrittenSegment> {
    const giveBack = (): void => onWritten(blocks.map(({ bytes }) => bytes));
    try {
      return await this.#writeSegment(blocks, giveBack);
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  async #writeSegment(blocks: readonly EncodedBlock[], onWritten: () => void): Promise<WrittenSegment> {
    const { fsync, directory } = this.#options;
    const id = `${(++this.#counter).toString(16).padStart(12, '0')}-${randomBytes(6).toString('hex')}`;
    const parts = this.#encode(blocks);
    const name = join(this.#folders.own(), id + ENDING);
    const fileBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const path = join(directory, name);
    await this.#writeFile(path, parts, onWritten);
    if (fsync === 'always') await this.#syncFolder(join(path, '..'));
    if (fsync === 'interval') this.#unsynced.add(path);
    return { name, fileBytes, isOwned: true, folders: this.#folders.held, counter: this.#counter };
  }

  async read(reads: readonly SegmentRead[], into: SharedBytes): Promise<ReadResult[]> {
    return this.#readAll(reads, into, () => {});
  }

  async rewrite(reads: readonly SegmentRead[], into: SharedBytes): Promise<Rewritten> {
    const blocks: EncodedBlock[] = [];
    const results = this.#readAll(reads, into, ({ name, keys }, { places }) => {
      const described = new Map(this.#reader.blocksOf(name).map((block) => [block.key, block]));
      for (const [n, key] of keys.entries()) {
        const [place, block] = [places[n], described.get(key)];
        if (!place || !block) continue;
        blocks.push({ ...block, bytes: into.subarray(place.offset, place.offset + place.byteLength) });
      }
    });
    const written = blocks.length > 0 ? await this.#writeSegment(blocks, () => {}) : undefined;
    return { written, keys: blocks.map(({ key }) => key), results };
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.#unlink(join(this.#options.directory, name));
  }

  async sync(): Promise<void> {
    if (this.#options.fsync === 'never') return;
    const paths = [...this.#unsynced];
    for (const path of paths) {
      try {
        await syncPath(this.#fs, path);
      } catch (error) {
        // Evicted meanwhile.
        if (systemCode(error) !== 'ENOENT') throw error;
      }
      this.#unsynced.delete(path);
    }
    for (const folder of new Set(paths.map((path) => join(path, '..')))) await this.#syncFolder(folder);
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    try {
      await this.sync();
    } finally {
      this.#folders.release();
    }
  }

  #startTimers(): void {
    this.#timers = [setInterval(() => this.#folders.touch(), TOUCH_MS).unref()];
    if (this.#options.fsync === 'interval') {
      // What fails is tried again, and told to whoever waits for a flush.
      this.#timers.push(setInterval(() => void this.sync().catch(() => undefined), SYNC_MS).unref());
    }
  }

  #fault(fault: TierFault, what: string, numBlocks = 0): Fault {
    return { fault, message: `KV cache in ${this.#options.directory}: ${what}`, numBlocks };
  }

  #encode(blocks: readonly EncodedBlock[]): Uint8Array[] {
    const { encryptionKey, modelFingerprint, kvFormat } = this.#options;
    const header = blocks.map(({ key, parent, tokenIds, bytes }): SegmentBlock => {
      const checksum = encryptionKey ? 0 : crc32(bytes);
      return { key, parent, tokenIds, payloadBytes: bytes.length, checksum };
    });
    const counter = this.#counter;
    return [
      ...encodeHeader({ counter, modelFingerprint, kvFormat, blocks: header }, encryptionKey),
      ...blocks.flatMap(({ key, bytes }) => (encryptionKey ? seal(encryptionKey, key, bytes) : [bytes])),
    ];
  }

  async #writeFile(path: string, parts: readonly Uint8Array[], onWritten: () => void): Promise<void> {
    const scratch = `${path}.tmp`;
    const fd = this.#fs.openSync(scratch, 'wx', 0o600);
    try {
      try {
        writeAll(this.#fs, fd, parts);
        onWritten();
        if (this.#options.fsync === 'always') await syncFile(this.#fs, fd);
      } finally {
        this.#fs.closeSync(fd);
      }
      this.#fs.renameSync(scratch, path);
    } catch (error) {
      this.#unlink(scratch);
      throw error;
    }
  }

  #unlink(path: string): void {
    try {
      this.#fs.unlinkSync(path);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }

  /** Windows has no such thing. */
  async #syncFolder(path: string): Promise<void> {
    if (process.platform !== 'win32') await syncPath(this.#fs, path);
  }

  /** @returns bytes of files that are left alone */
  async #scanFolder(folder: string, isOwned: boolean, found: CountedFile[], faults: Fault[]): Promise<number> {
    let sealedBytes = 0;
    let numFiles = 0;
    for (const file of this.#fs.readdirSync(join(this.#options.directory, folder))) {
      const name = join(folder, file);
      if (isOwned && file.endsWith(`${ENDING}.tmp`)) this.#unlink(join(this.#options.directory, name));
      if (!file.endsWith(ENDING)) continue;
      if (++numFiles % SCAN_FILES === 0) await nextTurn();
      try {
        const scanned = this.#scanFile(name, isOwned, faults);
        if (typeof scanned === 'number') sealedBytes += scanned;
        else if (scanned) found.push(scanned);
      } catch (error) {
        faults.push(this.#fault('read_failed', `${name}: ${reasonOf(error)}`));
      }
    }
    return sealedBytes;
  }

  #scanFile(name: string, isOwned: boolean, faults: Fault[]): CountedFile | number | undefined {
    return this.#reader.withFile(name, (fd) => {
      const fileBytes = this.#fs.fstatSync(fd).size;
      const header = this.#reader.readHeader(fd);
      if (header === 'other') return fileBytes;
      if (!header) {
        faults.push(this.#fault('corrupt', `${name} has a damaged header and is removed`, 1));
        if (isOwned) this.#unlink(join(this.#options.directory, name));
        return undefined;
      }
      const { counter, body } = header;
      const scanned = { name, fileBytes, isOwned, counter, body };
      if (fileBytes >= header.fileBytes) return { ...scanned, numWhole: Number.POSITIVE_INFINITY };
      const { blocks } = decodeBody(body);
      const numWhole = numWholeBlocks(blocks, header, fileBytes);
      const numLost = blocks.length - numWhole;
      faults.push(this.#fault('corrupt', `${name} is cut short by ${numLost} blocks`, numLost));
      return { ...scanned, numWhole };
    });
  }

  #readAll(
    reads: readonly SegmentRead[],
    into: SharedBytes,
    onRead: (read: SegmentRead, result: ReadResult) => void,
  ): ReadResult[] {
    let start = 0;
    return reads.map((read) => {
      const result = this.#read(read, into, start);
      start = Math.max(start, ...result.places.map((place) => (place ? place.offset + place.byteLength : 0)));
      onRead(read, result);
      return result;
    });
  }

  #read({ name, keys }: SegmentRead, into: SharedBytes, start: number): ReadResult {
    const nothing = keys.map(() => undefined);
    try {
      const places = this.#reader.read(name, keys, into, start);
      if (!places) {
        const fault = this.#fault('corrupt', `${name} has a damaged header`, keys.length);
        return { places: nothing, fault, isLost: true };
      }
      const numCorrupt = places.filter((place) => place === undefined).length;
      if (numCorrupt === 0) return { places, isLost: false };
      const fault = this.#fault('corrupt', `${name} has ${numCorrupt} damaged blocks`, numCorrupt);
      return { places, fault, isLost: false };
    } catch (error) {
      const isLost = ['ENOENT', 'ENOTDIR'].includes(systemCode(error));
      const fault = this.#fault(isLost ? 'vanished' : 'read_failed', `${name}: ${reasonOf(error)}`, keys.length);
      return { places: nothing, fault, isLost };
    }
  }
}

/** How many blocks, from the first, a file has that was cut short. */
const numWholeBlocks = (blocks: readonly SegmentBlock[], header: RawHeader, fileBytes: number): number => {
  let end = header.headerBytes;
  const isWhole = ({ payloadBytes }: SegmentBlock): boolean => {
    end += storedBytes(payloadBytes, header.isSealed);
    return end <= fileBytes;
  };
  const firstLost = blocks.findIndex((block) => !isWhole(block));
  return firstLost < 0 ? blocks.length : firstLost;
};
