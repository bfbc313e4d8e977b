/** Reads segments' headers and blocks, and checks every byte of them. */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { unsealInPlace } from './cipher.ts';
import { type FileSystem, readAll } from './file-system.ts';
import {
  decodeBody,
  decodeHeader,
  decodePreamble,
  PREAMBLE_BYTES,
  type RawHeader,
  type SegmentBlock,
  type SegmentHeader,
  type SegmentOwner,
  storedBytes,
} from './segment-format.ts';
import type { SharedBytes } from './shared-buffers.ts';

export interface SegmentReaderOptions extends SegmentOwner {
  readonly directory: string;
  /** 32 bytes; absent: files are plain. */
  readonly encryptionKey?: Uint8Array;
}

/** Where a block's payload lies in the memory it was read into. */
export interface Place {
  readonly offset: number;
  readonly byteLength: number;
}

/** Holds most headers, so that one read is enough. */
const FIRST_READ_BYTES = 64 * 1024;
/** A prefix is read in parts, a few of each file: its header need not be read with each. */
const NUM_HEADERS = 32;
/** Checked while the processor's caches still have them. */
const CHECKED_BYTES = 256 * 1024;

export class SegmentReader {
  readonly #options: SegmentReaderOptions;
  readonly #fs: FileSystem;
  readonly #firstRead = Buffer.alloc(FIRST_READ_BYTES);
  /** Of files read last, by name. Files never change; what is damaged later, blocks' own checksums tell. */
  readonly #headers = new Map<string, SegmentHeader>();

  constructor(options: SegmentReaderOptions, fs: FileSystem) {
    this.#options = options;
    this.#fs = fs;
  }

  /** Throws the system's error. */
  withFile<Result>(name: string, use: (fd: number) => Result): Result {
    const fd = this.#fs.openSync(join(this.#options.directory, name), 'r');
    try {
      return use(fd);
    } finally {
      this.#fs.closeSync(fd);
    }
  }

  /** 'other': of another key or version. @returns undefined when damaged */
  readHeader(fd: number): RawHeader | 'other' | undefined {
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

  /** Blocks as a file that was read just now has them. */
  blocksOf(name: string): readonly SegmentBlock[] {
    return this.#headers.get(name)?.blocks ?? [];
  }

  /**
   * Reads blocks of one file into memory, from `start` on. Throws the system's error.
   * @returns their places, undefined for what is damaged or does not fit; undefined when the file is not this model's
   */
  read(name: string, keys: readonly string[], into: SharedBytes, start: number): (Place | undefined)[] | undefined {
    return this.withFile(name, (fd) => {
      const header = this.#headerOf(name, fd);
      if (!header) return undefined;
      const places = new Map<string, Place>();
      let offset = start;
      for (const { position, blocks, numBytes } of runsOf(header, new Set(keys))) {
        if (offset + numBytes > into.byteLength) break;
        // A file that ends early leaves what was there, which no checksum fits.
        readAll(this.#fs, fd, [into.subarray(offset, offset + numBytes)], position);
        for (const block of blocks) {
          const stored = storedBytes(block.payloadBytes, header.isSealed);
          const place = this.#check(block, into, { offset, byteLength: stored });
          if (place) places.set(block.key, place);
          offset += stored;
        }
      }
      return keys.map((key) => places.get(key));
    });
  }

  #headerOf(name: string, fd: number): SegmentHeader | undefined {
    const known = this.#headers.get(name);
    if (known) return known;
    const raw = this.readHeader(fd);
    if (!raw || raw === 'other') return undefined;
    const header = { ...raw, ...decodeBody(raw.body) };
    const { modelFingerprint, kvFormat } = this.#options;
    if (header.modelFingerprint !== modelFingerprint || header.kvFormat !== kvFormat) return undefined;
    this.#headers.set(name, header);
    if (this.#headers.size > NUM_HEADERS) this.#headers.delete(this.#headers.keys().next().value!);
    return header;
  }

  /** Decrypts where the block lies. @returns undefined when a bit is not as it was written */
  #check({ key, checksum }: SegmentBlock, into: SharedBytes, { offset, byteLength }: Place): Place | undefined {
    const { encryptionKey } = this.#options;
    const stored = into.subarray(offset, offset + byteLength);
    if (!encryptionKey) return crc32(stored) === checksum ? { offset, byteLength } : undefined;
    const plain = unsealInPlace(encryptionKey, key, stored);
    return plain && { offset: plain.byteOffset, byteLength: plain.byteLength };
  }
}

interface Run {
  readonly position: number;
  readonly blocks: SegmentBlock[];
  numBytes: number;
}

/** Wanted blocks that lie side by side, so that each run is one read, as far as a run is not too long to be checked at once. */
const runsOf = (header: SegmentHeader, wanted: ReadonlySet<string>): Run[] => {
  const runs: Run[] = [];
  let position = header.headerBytes;
  let run: Run | undefined;
  for (const block of header.blocks) {
    const numBytes = storedBytes(block.payloadBytes, header.isSealed);
    if (!wanted.has(block.key)) run = undefined;
    else if (run && run.numBytes < CHECKED_BYTES) {
      run.blocks.push(block);
      run.numBytes += numBytes;
    } else {
      run = { position, blocks: [block], numBytes };
      runs.push(run);
    }
    position += numBytes;
  }
  return runs;
};
