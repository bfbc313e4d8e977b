/** Segments served by a thread of their own, so that checksums, encryption and files never hold up the engine's loop. */
import { Worker } from 'node:worker_threads';
import { threadEntry } from '../../../workers/thread-entry.ts';
import { EngineError, type ErrorRecord, fromErrorRecord } from '../../errors.ts';
import type { Bytes } from './payload.ts';
import type {
  ReadResult,
  Rewritten,
  Scan,
  SegmentRead,
  SegmentStoreOptions,
  Segments,
  StoreHeritage,
  WritableBlock,
  WrittenSegment,
} from './segment-store.ts';
import type { SharedBytes } from './shared-buffers.ts';

export type ToSegments =
  | { readonly id: number; readonly method: 'sync' | 'close' }
  | { readonly id: number; readonly method: 'open'; readonly buffers: readonly SharedBytes[] }
  | { readonly id: number; readonly method: 'write'; readonly blocks: readonly WritableBlock[] }
  | {
      readonly id: number;
      readonly method: 'read' | 'rewrite';
      readonly reads: readonly SegmentRead[];
      readonly into: SharedBytes;
    }
  | { readonly id: number; readonly method: 'remove'; readonly names: readonly string[] };

export type FromSegments =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord }
  /** Payloads that were lent, and come back before the answer. */
  | { readonly id: number; readonly payloads: Bytes[] };

/** What a thread is started with. */
export interface SegmentThreadSetup {
  readonly options: SegmentStoreOptions;
  /** Of the thread that died; absent: this is the first one, and is going to be opened. */
  readonly heritage?: StoreHeritage;
}

interface Call {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: EngineError) => void;
  readonly onWritten?: (payloads: Bytes[]) => void;
}

/** `Omit` over each member of a union. */
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

/** More, in so short a time, and the files are let alone: something is wrong that another thread does not cure. */
const MAX_DEATHS = 5;
const DEATHS_MS = 60_000;

/**
 * The thread keeps the process alive only while it has something to do. When it dies, every call that it had rejects, and
 * the next call starts another one, which goes on with the same folders.
 */
export class SegmentThread implements Segments {
  readonly #options: SegmentStoreOptions;
  readonly #onDeath: (message: string) => void;
  readonly #calls = new Map<number, Call>();
  #worker: Worker | undefined;
  #nextId = 0;
  #heritage: StoreHeritage | undefined;
  #deaths: number[] = [];
  #isClosed = false;

  /** @param onDeath called with what to warn with */
  constructor(options: SegmentStoreOptions, onDeath: (message: string) => void = () => {}) {
    const { directory, fsync, modelFingerprint, kvFormat, encryptionKey } = options;
    // Only these can cross: whoever calls may have callbacks beside them.
    const crossing = { directory, fsync, modelFingerprint, kvFormat };
    this.#options = { ...crossing, ...(encryptionKey ? { encryptionKey } : {}) };
    this.#onDeath = onDeath;
    this.#worker = this.#start();
  }

  async open(buffers: readonly SharedBytes[] = []): Promise<Scan> {
    const scan = await this.#call<Scan>({ method: 'open', buffers });
    this.#inherit(scan);
    return scan;
  }

  async write(blocks: readonly WritableBlock[], onWritten: (payloads: Bytes[]) => void): Promise<WrittenSegment> {
    const buffers = blocks.map(({ bytes }) => bytes.buffer);
    const written = await this.#call<WrittenSegment>({ method: 'write', blocks }, buffers, onWritten);
    this.#inherit(written);
    return written;
  }

  read(reads: readonly SegmentRead[], into: SharedBytes): Promise<ReadResult[]> {
    return this.#call({ method: 'read', reads, into });
  }

  async rewrite(reads: readonly SegmentRead[], into: SharedBytes): Promise<Rewritten> {
    const rewritten = await this.#call<Rewritten>({ method: 'rewrite', reads, into });
    if (rewritten.written) this.#inherit(rewritten.written);
    return rewritten;
  }

  remove(names: readonly string[]): Promise<void> {
    return this.#call({ method: 'remove', names });
  }

  sync(): Promise<void> {
    return this.#call({ method: 'sync' });
  }

  async close(): Promise<void> {
    try {
      // A thread that died has left its locks to another.
      if (this.#worker || this.#heritage) await this.#call({ method: 'close' });
    } finally {
      this.#isClosed = true;
      await this.#worker?.terminate();
    }
  }

  #start(): Worker {
    const { url, execArgv } = threadEntry(import.meta.url, './segment-worker');
    const setup: SegmentThreadSetup = { options: this.#options, ...(this.#heritage && { heritage: this.#heritage }) };
    const worker = new Worker(url, { workerData: setup, execArgv });
    worker.unref();
    worker.on('message', (message: FromSegments) => this.#receive(message));
    worker.on('error', (error) => this.#fail(worker, error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => this.#fail(worker, 'it ended'));
    return worker;
  }

  #inherit({ folders, counter }: StoreHeritage): void {
    this.#heritage = { folders, counter };
  }

  /** @throws EngineError internal: threads have died one after another */
  #revive(): Worker {
    const now = performance.now();
    this.#deaths = this.#deaths.filter((diedAt) => now - diedAt < DEATHS_MS);
    // Without what the first one found, a second would take the folders for another server's.
    if (!this.#isClosed && this.#heritage && this.#deaths.length <= MAX_DEATHS) return this.#start();
    throw new EngineError('internal', `the thread that keeps the KV cache's files died; in a minute it is tried again`);
  }

  #call<Result>(
    message: WithoutId<ToSegments>,
    transferList: ArrayBuffer[] = [],
    onWritten?: (payloads: Bytes[]) => void,
  ): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#worker ??= this.#revive();
      const id = this.#nextId++;
      const call: Call = { resolve: resolve as (result: unknown) => void, reject, ...(onWritten && { onWritten }) };
      this.#calls.set(id, call);
      this.#worker.ref();
      this.#worker.postMessage({ ...message, id } satisfies ToSegments, transferList);
    });
  }

  #receive(message: FromSegments): void {
    const call = this.#calls.get(message.id);
    if (!call) return;
    if ('payloads' in message) {
      call.onWritten?.(message.payloads);
      return;
    }
    this.#calls.delete(message.id);
    if (this.#calls.size === 0) this.#worker?.unref();
    if ('error' in message) call.reject(fromErrorRecord(message.error));
    else call.resolve(message.result);
  }

  #fail(worker: Worker, reason: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const death = new EngineError('internal', `the thread that keeps the KV cache's files failed: ${reason}`);
    for (const { reject } of this.#calls.values()) reject(death);
    this.#calls.clear();
    if (this.#isClosed) return;
    this.#deaths.push(performance.now());
    this.#onDeath(death.message);
  }
}
