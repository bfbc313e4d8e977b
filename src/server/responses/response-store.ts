/**
 * Stored responses of all callers: bounded in number, bytes and time, the longest unused first to go. A response is used
 * when it is stored, looked at, or continued, and those it continues with it.
 */
import { EngineError } from '../../runtime/errors.ts';
import { decodeRecord, encodeRecord, fileName, type Seal } from './response-file.ts';
import { FolderFiles, MemoryFiles, type ResponseFiles } from './response-files.ts';
import type { OwnResponses, ResponseRecord, RunningResponse } from './response-record.ts';

export interface ResponseStoreOptions {
  /** Made when it is not there, readable by this user alone; absent: memory alone, until the server ends. */
  readonly directory?: string;
  readonly maxResponses: number;
  /** Of all of them together, as they are written; 0: none is stored. */
  readonly maxBytes: number;
  /** Unused for so long, a response goes. */
  readonly ttlSeconds: number;
  /** Waits until the device has what was written: then it outlives a loss of power, too. */
  readonly fsync: boolean;
  /** Encrypts the files. */
  readonly seal?: Seal;
}

export interface ResponseStoreStats {
  readonly responses: number;
  readonly bytes: number;
  /** Responses that were to be stored and could not be, since the start. */
  readonly failures: number;
}

const DAY_SECONDS = 24 * 3600;

export const DEFAULT_RESPONSE_STORE: ResponseStoreOptions = Object.freeze({
  maxResponses: 10_000,
  maxBytes: 256 * 1024 * 1024,
  ttlSeconds: 30 * DAY_SECONDS,
  fsync: false,
});

const SWEEP_MS = 60 * 60 * 1000;
/** A file's time is for the next start: as exact as this is enough. */
const TOUCH_MS = 60 * 60 * 1000;

interface Entry {
  readonly numBytes: number;
  usedAtMs: number;
  /** As the file says. */
  touchedAtMs: number;
}

export class ResponseStore {
  readonly #options: ResponseStoreOptions;
  readonly #files: ResponseFiles;
  readonly #onWarning: (message: string) => void;
  /** By file name, the longest unused first. */
  readonly #entries = new Map<string, Entry>();
  readonly #running = new Map<string, Running>();
  readonly #sweeps: NodeJS.Timeout;
  #numBytes = 0;
  #numFailures = 0;

  private constructor(options: ResponseStoreOptions, onWarning: (message: string) => void) {
    this.#options = options;
    this.#onWarning = onWarning;
    this.#files =
      options.directory === undefined ? new MemoryFiles() : new FolderFiles(options.directory, options.fsync);
    this.#sweeps = setInterval(() => void this.#makeRoom(), SWEEP_MS).unref();
  }

  /**
   * Finds what is stored. A disk that fails makes warnings, and a store that keeps nothing.
   * @param onWarning never told what a response says
   */
  static async open(options: ResponseStoreOptions, onWarning: (message: string) => void): Promise<ResponseStore> {
    const store = new ResponseStore(options, onWarning);
    const known = await store.#attempt('read the stored responses', () => store.#files.list());
    const byUse = [...(known ?? [])].sort((first, second) => first.usedAtMs - second.usedAtMs);
    for (const { name, numBytes, usedAtMs } of byUse) store.#note(name, numBytes, usedAtMs);
    await store.#makeRoom();
    return store;
  }

  stats(): ResponseStoreStats {
    return { responses: this.#entries.size, bytes: this.#numBytes, failures: this.#numFailures };
  }

  close(): void {
    clearInterval(this.#sweeps);
  }

  /** @param owner as `Access.ownerOf` tells */
  of(owner: string): StoredResponses {
    return {
      isKeeping: this.#options.maxBytes > 0,
      get: (id) => this.#get(owner, id),
      begin: (id, running, isPromised) => this.#begin(owner, id, { running, isPromised }),
      running: (id) => this.#running.get(fileName(owner, id)),
      keep: (record, isStored) => this.#keep(owner, record, isStored),
      erase: (id) => this.#erase(fileName(owner, id)),
    };
  }

  async #begin(
    owner: string,
    id: string,
    { running, isPromised }: { running: RunningResponse; isPromised: boolean },
  ): Promise<void> {
    const name = fileName(owner, id);
    this.#running.set(name, new Running(running));
    if (isPromised) await this.#store(name, encodeRecord(owner, running.record(), this.#options.seal));
  }

  async #get(owner: string, id: string): Promise<ResponseRecord | undefined> {
    const name = fileName(owner, id);
    const entry = this.#entries.get(name);
    if (entry !== undefined && this.#isExpired(entry)) {
      await this.#attempt('erase a response', () => this.#remove(name));
      return undefined;
    }
    const read = await this.#attempt(`use the stored response ${name}`, async () => {
      const bytes = await this.#files.read(name);
      return { bytes, record: bytes && decodeRecord(bytes, owner, id, this.#options.seal) };
    });
    if (read === undefined) return undefined;
    if (read.bytes === undefined || read.record === undefined) {
      this.#forget(name);
      return undefined;
    }
    await this.#use(name, read.bytes.length);
    return this.#running.has(name) ? read.record : withEnd(read.record);
  }

  async #keep(owner: string, record: ResponseRecord, isStored: boolean): Promise<boolean> {
    const name = fileName(owner, record.response.id);
    let isKept = false;
    try {
      isKept =
        isStored &&
        this.#options.maxBytes > 0 &&
        (await this.#store(name, encodeRecord(owner, record, this.#options.seal)));
      return isKept;
    } finally {
      this.#running.get(name)?.end({ ...record, response: { ...record.response, store: isKept } });
      this.#running.delete(name);
    }
  }

  async #store(name: string, bytes: Uint8Array): Promise<boolean> {
    const { maxBytes } = this.#options;
    const isStored = await this.#attempt('store a response', async () => {
      if (bytes.length > maxBytes)
        throw new Error(`it takes ${bytes.length} bytes, and all of them together may take ${maxBytes}`);
      await this.#files.write(name, bytes);
      return true;
    });
    if (!isStored) {
      this.#numFailures++;
      return false;
    }
    this.#note(name, bytes.length, Date.now());
    await this.#makeRoom();
    return true;
  }

  /** @throws EngineError internal when the bytes may still be there */
  async #erase(name: string): Promise<boolean> {
    const isKnown = this.#entries.has(name);
    try {
      const isThere = isKnown || (await this.#files.read(name)) !== undefined;
      await this.#remove(name);
      return isThere;
    } catch (cause) {
      this.#onWarning(`could not erase a response: ${reasonOf(cause)}`);
      const message = 'the response could not be erased from disk: look at the server’s log, and ask again';
      throw new EngineError('internal', message, {}, { cause });
    }
  }

  /** Another server's on the same folder is taken over once it is used here. */
  async #use(name: string, numBytes: number): Promise<void> {
    const now = Date.now();
    const touchedAtMs = this.#entries.get(name)?.touchedAtMs ?? 0;
    this.#note(name, numBytes, now, touchedAtMs);
    if (now - touchedAtMs < TOUCH_MS) return;
    await this.#attempt('note that a response was used', () => this.#files.touch(name));
    const entry = this.#entries.get(name);
    if (entry !== undefined) entry.touchedAtMs = now;
  }

  #note(name: string, numBytes: number, usedAtMs: number, touchedAtMs = usedAtMs): void {
    this.#forget(name);
    this.#entries.set(name, { numBytes, usedAtMs, touchedAtMs });
    this.#numBytes += numBytes;
  }

  #forget(name: string): void {
    this.#numBytes -= this.#entries.get(name)?.numBytes ?? 0;
    this.#entries.delete(name);
  }

  async #remove(name: string): Promise<void> {
    await this.#files.remove(name);
    this.#forget(name);
  }

  /** What cannot be removed is no longer counted, or it would push out all others. */
  async #makeRoom(): Promise<void> {
    const { maxResponses, maxBytes } = this.#options;
    for (const [name, entry] of [...this.#entries]) {
      const isOver = this.#entries.size > maxResponses || this.#numBytes > maxBytes;
      if (!isOver && !this.#isExpired(entry)) return;
      if (this.#entries.get(name) !== entry) continue;
      this.#forget(name);
      await this.#attempt('erase a response', () => this.#files.remove(name));
    }
  }

  #isExpired({ usedAtMs }: Entry): boolean {
    return Date.now() - usedAtMs >= this.#options.ttlSeconds * 1000;
  }

  async #attempt<Value>(what: string, work: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#onWarning(`could not ${what}: ${reasonOf(error)}`);
      return undefined;
    }
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A record that was never finished: the server ended before. */
const withEnd = (record: ResponseRecord): ResponseRecord => {
  const { status } = record.response;
  if (status !== 'queued' && status !== 'in_progress') return record;
  const error = { code: 'server_error', message: 'the server ended before this response did: ask for it again' };
  return { ...record, response: { ...record.response, status: 'failed', error } };
};

/** What a caller's own routes may do beyond what a dialect may. */
export interface StoredResponses extends OwnResponses {
  running(id: string): Running | undefined;
  /** @returns false: there was none. @throws EngineError internal when the bytes may still be there */
  erase(id: string): Promise<boolean>;
}

/** A response that is being made, and its end. */
export class Running {
  readonly #response: RunningResponse;
  readonly ended: Promise<ResponseRecord>;
  end!: (record: ResponseRecord) => void;

  constructor(response: RunningResponse) {
    this.#response = response;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  get record(): ResponseRecord {
    return this.#response.record();
  }

  /** Resolves to what was made until then. */
  cancel(): Promise<ResponseRecord> {
    this.#response.cancel();
    return this.ended;
  }
}
