/** Segments as files: writes, scans, reads and removes them. Runs in the disk tier's thread; only tests run it elsewhere. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { seal, unseal } from './cipher.ts';
import {
  type FileSystem,
  nodeFileSystem,
  readAll,
  reasonOf,
  syncFile,
  syncPath,
  systemCode,
  writeAll,
} from './file-system.ts';
import type { Bytes } from './payload.ts';
import {
  decodeBody,
  decodeHeader,
  decodePreamble,
  encodeHeader,
  PREAMBLE_BYTES,
  type RawHeader,
  type SegmentBlock,
  type SegmentHeader,
  type SegmentOwner,
  storedBytes,
} from './segment-format.ts';
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
  readonly blocks: readonly ScannedBlock[];
}

/** A segment with its blocks as the file has them: to decode them where they are used is faster than to post them. */
export interface ScannedFile extends Omit<ScannedSegment, 'blocks'> {
  readonly body: Bytes;
  /** Blocks, from the first, that the file has in full. */
  readonly numWhole: number;
}

export interface Scan {
  /** The oldest first. */
  readonly segments: readonly ScannedFile[];
  readonly sealedBytes: number;
  readonly faults: readonly Fault[];
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
  readonly payloads: readonly (Bytes | undefined)[];
  readonly fault?: Fault;
  /** The whole file is gone or useless. */
  readonly isLost: boolean;
}

/** What the disk tier asks of its files, wherever they are served. All may reject, with a message that names the file. */
export interface Segments {
  open(): Promise<Scan>;
  /** @param onWritten given the payloads back as soon as the file needs them no more, also when it fails */
  write(
    blocks: readonly WritableBlock[],
    onWritten: (payloads: Bytes[]) => void,
  ): Promise<Omit<ScannedSegment, 'blocks'>>;
  read(reads: readonly SegmentRead[]): Promise<ReadResult[]>;
  remove(names: readonly string[]): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const ENDING = '.kv';
const SYNC_MS = 1000;
/** Files read at a scan before others get a turn. */
const SCAN_FILES = 64;

/** Holds most headers, so that one read is enough. */
const FIRST_READ_BYTES = 64 * 1024;

type CountedFile = ScannedFile & { readonly counter: number };

export class SegmentStore implements Segments {
  readonly #options: SegmentStoreOptions;
  readonly #fs: FileSystem;
  readonly #folders: WriterFolders;
  /** Written, and not yet known to survive a loss of power. */
  readonly #unsynced = new Set<string>();
  readonly #firstRead = Buffer.alloc(FIRST_READ_BYTES);
  #counter = 0;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: SegmentStoreOptions, fs: FileSystem = nodeFileSystem) {
    this.#options = options;
    this.#fs = fs;
    this.#folders = new WriterFolders(options.directory, fs);
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
    this.#timers = [setInterval(() => this.#folders.touch(), TOUCH_MS).unref()];
    if (this.#options.fsync === 'interval') {
      // What fails is tried again, and told to whoever waits for a flush.
      this.#timers.push(setInterval(() => void this.sync().catch(() => undefined), SYNC_MS).unref());
    }
    return { segments: found, sealedBytes, faults };
  }

  async write(
    blocks: readonly WritableBlock[],
    onWritten: (payloads: Bytes[]) => void,
  ): Promise<Omit<ScannedSegment, 'blocks'>> {
    const { fsync, directory } = this.#options;
    const id = `${(++this.#counter).toString(16).padStart(12, '0')}-${randomBytes(6).toString('hex')}`;
    try {
      const parts = this.#encode(blocks);
      const name = join(this.#folders.own(), id + ENDING);
      const fileBytes = parts.reduce((sum, part) => sum + part.length, 0);
      const path = join(directory, name);
      await this.#writeFile(path, parts, () => onWritten(blocks.map(({ bytes }) => bytes)));
      if (fsync === 'always') await this.#syncFolder(join(path, '..'));
      if (fsync === 'interval') this.#unsynced.add(path);
      return { name, fileBytes, isOwned: true };
    } catch (error) {
      onWritten(blocks.map(({ bytes }) => bytes));
      throw error;
    }
  }

  async read(reads: readonly SegmentRead[]): Promise<ReadResult[]> {
    return reads.map(({ name, keys }) => {
      try {
        return this.#readSegment(name, keys);
      } catch (error) {
        const isLost = ['ENOENT', 'ENOTDIR'].includes(systemCode(error));
        const fault = this.#fault(isLost ? 'vanished' : 'read_failed', `${name}: ${reasonOf(error)}`, keys.length);
        return { payloads: keys.map(() => undefined), fault, isLost };
      }
    });
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

  #fault(fault: TierFault, what: string, numBlocks = 0): Fault {
    return { fault, message: `KV cache in ${this.#options.directory}: ${what}`, numBlocks };
  }

  #encode(blocks: readonly WritableBlock[]): Uint8Array[] {
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
    return this.#withFile(name, (fd) => {
      const fileBytes = this.#fs.fstatSync(fd).size;
      const header = this.#readHeader(fd);
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

  #isOurs(owner: SegmentOwner): boolean {
    const { modelFingerprint, kvFormat } = this.#options;
    return owner.modelFingerprint === modelFingerprint && owner.kvFormat === kvFormat;
  }

  #withFile<Result>(name: string, use: (fd: number) => Result): Result {
    const fd = this.#fs.openSync(join(this.#options.directory, name), 'r');
    try {
      return use(fd);
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  #readHeader(fd: number): RawHeader | 'other' | undefined {
    const numRead = this.#fs.readvSync(fd, [this.#firstRead], 0);
    const first = this.#firstRead.subarray(0, numRead);
    const preamble = decodePreamble(first);
    if (preamble === undefined || preamble === 'other') return preamble;
    const start = first.subarray(0, PREAMBLE_BYTES);
    let body = first.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + preamble.bodyBytes);
    if (body.length < preamble.bodyBytes) {
      body = Buffer.alloc(preamble.bodyBytes);
      if (!readAll(this.#fs, fd, [body], PREAMBLE_BYTES)) return undefined;
    }
    return decodeHeader(start, preamble, body, this.#options.encryptionKey);
  }

  #readSegment(name: string, keys: readonly string[]): ReadResult {
    return this.#withFile(name, (fd) => {
      const raw = this.#readHeader(fd);
      const header = raw && raw !== 'other' ? { ...raw, ...decodeBody(raw.body) } : undefined;
      if (!header || !this.#isOurs(header)) {
        const fault = this.#fault('corrupt', `${name} has a damaged or a stranger's header`, keys.length);
        return { payloads: keys.map(() => undefined), fault, isLost: true };
      }
      const wanted = new Set(keys);
      const payloads = new Map<string, Bytes | undefined>();
      for (const run of runsOf(header, wanted)) {
        const stored = run.blocks.map(({ payloadBytes }) => new Uint8Array(storedBytes(payloadBytes, header.isSealed)));
        // A file that ends early leaves zeros, which no checksum fits.
        readAll(this.#fs, fd, stored, run.position);
        for (const [i, block] of run.blocks.entries()) payloads.set(block.key, this.#open(block, stored[i]!));
      }
      const results = keys.map((key) => payloads.get(key));
      const numCorrupt = results.filter((payload) => payload === undefined).length;
      if (numCorrupt === 0) return { payloads: results, isLost: false };
      const fault = this.#fault('corrupt', `${name} has ${numCorrupt} damaged blocks`, numCorrupt);
      return { payloads: results, fault, isLost: false };
    });
  }

  #open({ key, checksum }: SegmentBlock, stored: Bytes): Bytes | undefined {
    const { encryptionKey } = this.#options;
    if (encryptionKey) return unseal(encryptionKey, key, stored);
    return crc32(stored) === checksum ? stored : undefined;
  }
}

/** Wanted blocks that lie side by side, so that each run is one read. */
const runsOf = (header: SegmentHeader, wanted: ReadonlySet<string>): { position: number; blocks: SegmentBlock[] }[] => {
  const runs: { position: number; blocks: SegmentBlock[] }[] = [];
  let position = header.headerBytes;
  let wasWanted = false;
  for (const block of header.blocks) {
    const isWanted = wanted.has(block.key);
    if (isWanted && wasWanted) runs.at(-1)!.blocks.push(block);
    else if (isWanted) runs.push({ position, blocks: [block] });
    wasWanted = isWanted;
    position += storedBytes(block.payloadBytes, header.isSealed);
  }
  return runs;
};

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
