/** A file on its way: its bytes so far, and beside it which ones they are, so that the next attempt goes on there. */

import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import { EngineError } from '../runtime/errors.ts';
import { type ByteRange, ByteRanges } from './byte-ranges.ts';

/** What the sidecar says. */
interface Sidecar {
  readonly sizeBytes: number;
  /** The ETag that the bytes came under. */
  readonly validator: string | undefined;
  readonly ranges: readonly ByteRange[];
}

const SAVE_INTERVAL_MS = 1000;

/** Our own names: other tools take `ETAG.incomplete` for a file whose bytes all are there up to its length. */
export const partialPath = (blobPath: string): string => `${blobPath}.firstlight.incomplete`;
const sidecarPath = (blobPath: string): string => `${blobPath}.firstlight.json`;
const lockPath = (blobPath: string): string => `${blobPath}.firstlight.lock`;

/** Bytes that an earlier attempt has left. */
export const partialBytes = async (blobPath: string, sizeBytes: number): Promise<number> => {
  const sidecar = await readSidecar(blobPath, sizeBytes);
  return sidecar ? new ByteRanges(sidecar.ranges).numBytes : 0;
};

export class PartialFile {
  readonly sizeBytes: number;
  validator: string | undefined;
  readonly #blobPath: string;
  readonly #file: FileHandle;
  readonly #ranges: ByteRanges;
  #savedAtMs = Date.now();
  #saving: Promise<void> = Promise.resolve();

  private constructor(blobPath: string, file: FileHandle, sizeBytes: number, sidecar: Sidecar | undefined) {
    this.#blobPath = blobPath;
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.validator = sidecar?.validator;
    this.#ranges = new ByteRanges(sidecar?.ranges);
  }

  /**
   * Opens what there is of a file, or an empty one of that size, for this process alone. `finish` or `close` it.
   * @throws EngineError overloaded when another process fetches it; disk_full
   */
  static async open(blobPath: string, sizeBytes: number): Promise<PartialFile> {
    await mkdir(dirname(blobPath), { recursive: true });
    await lock(blobPath);
    try {
      const sidecar = await readSidecar(blobPath, sizeBytes);
      // Without its sidecar nobody knows which of its bytes are there.
      const file = await open(partialPath(blobPath), sidecar ? 'r+' : 'w+');
      try {
        await file.truncate(sizeBytes);
      } catch (error) {
        await file.close();
        throw error;
      }
      return new PartialFile(blobPath, file, sizeBytes, sidecar);
    } catch (error) {
      await rm(lockPath(blobPath), { force: true });
      throw asDiskFull(error, blobPath);
    }
  }

  get path(): string {
    return partialPath(this.#blobPath);
  }

  get numBytes(): number {
    return this.#ranges.numBytes;
  }

  gaps(): ByteRange[] {
    return this.#ranges.gaps(this.sizeBytes);
  }

  /** How many of the bytes were missing so far. @throws EngineError disk_full */
  async write(bytes: Uint8Array, position: number): Promise<number> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file
        .write(bytes, done, bytes.length - done, position + done)
        .catch((error: unknown) => {
          throw asDiskFull(error, this.#blobPath);
        });
      done += bytesWritten;
    }
    const numBefore = this.numBytes;
    this.#ranges.add(position, position + bytes.length);
    const numNew = this.numBytes - numBefore;
    if (Date.now() - this.#savedAtMs >= SAVE_INTERVAL_MS) await this.save();
    return numNew;
  }

  /** Notes which bytes are there. */
  save(): Promise<void> {
    this.#savedAtMs = Date.now();
    this.#saving = this.#saving.then(async () => {
      const { ranges } = this.#ranges;
      const sidecar: Sidecar = { sizeBytes: this.sizeBytes, validator: this.validator, ranges };
      const path = sidecarPath(this.#blobPath);
      await writeFile(`${path}.new`, JSON.stringify(sidecar));
      await rename(`${path}.new`, path);
    });
    return this.#saving;
  }

  /** Leaves the bytes for the next attempt. */
  async close(): Promise<void> {
    try {
      await this.save();
    } finally {
      await this.#file.close();
      await rm(lockPath(this.#blobPath), { force: true });
    }
  }

  /** Makes it the blob: from here on it counts as there. */
  async finish(): Promise<void> {
    try {
      await this.#saving;
      await this.#file.sync();
      await this.#file.close();
      await rename(this.path, this.#blobPath);
      await rm(sidecarPath(this.#blobPath), { force: true });
    } finally {
      await rm(lockPath(this.#blobPath), { force: true });
    }
  }

  /** Forgets the bytes: they are wrong. */
  async discard(): Promise<void> {
    await this.#saving;
    await this.#file.close();
    for (const path of [this.path, sidecarPath(this.#blobPath), lockPath(this.#blobPath)]) {
      await rm(path, { force: true });
    }
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isRange = (value: unknown, sizeBytes: number): value is ByteRange =>
  Array.isArray(value) && value.length === 2 && value.every(isSize) && value[0]! < value[1]! && value[1]! <= sizeBytes;

/** Undefined when there is none, or one that does not fit: then all bytes are fetched. */
const readSidecar = async (blobPath: string, sizeBytes: number): Promise<Sidecar | undefined> => {
  const text = await readFile(sidecarPath(blobPath), 'utf8').catch(() => undefined);
  const hasBytes = await open(partialPath(blobPath), 'r').then(
    (file) => file.close().then(() => true),
    () => false,
  );
  if (text === undefined || !hasBytes) return undefined;
  try {
    const { sizeBytes: size, validator, ranges } = JSON.parse(text) as Partial<Record<keyof Sidecar, unknown>>;
    const isUsable = size === sizeBytes && Array.isArray(ranges) && ranges.every((range) => isRange(range, sizeBytes));
    if (!isUsable || (validator !== undefined && typeof validator !== 'string')) return undefined;
    return { sizeBytes, validator, ranges };
  } catch {
    // Cut off while it was written: all bytes are fetched again.
    return undefined;
  }
};

/** @throws EngineError overloaded */
const lock = async (blobPath: string): Promise<void> => {
  const path = lockPath(blobPath);
  const owner = `${process.pid} ${hostname()}`;
  for (let attempt = 1; ; attempt++) {
    try {
      await writeFile(path, owner, { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (isAlive(holder) || attempt > 2) {
      throw new EngineError(
        'overloaded',
        `${basename(blobPath)}: process ${holder} is fetching this file; wait for it, or remove ${path} if there is no such process`,
      );
    }
    await rm(path, { force: true });
  }
};

/** Of processes on other hosts nobody here can tell. */
const isAlive = (holder: string): boolean => {
  const [, id, host] = /^(\d+) (.*)$/.exec(holder) ?? [];
  if (id === undefined) return false;
  if (host !== hostname()) return true;
  try {
    process.kill(Number(id), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const asDiskFull = (error: unknown, path: string): unknown => {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') return error;
  return new EngineError(
    'disk_full',
    `${dirname(path)}: no room left (${code}); free some (\`firstlight rm\`) or set HF_HOME to another disk`,
    {},
    { cause: error },
  );
};
