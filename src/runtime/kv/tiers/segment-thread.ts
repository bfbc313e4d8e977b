/** Segments served by a thread of their own, so that checksums, encryption and files never hold up the engine's loop. */
import { Worker } from 'node:worker_threads';
import { threadEntry } from '../../../workers/thread-entry.ts';
import { EngineError, type ErrorRecord, fromErrorRecord } from '../../errors.ts';
import type { Bytes } from './payload.ts';
import type {
  ReadResult,
  Scan,
  ScannedSegment,
  SegmentRead,
  SegmentStoreOptions,
  Segments,
  WritableBlock,
} from './segment-store.ts';
import type { SharedBytes } from './shared-buffers.ts';

export type ToSegments =
  | { readonly id: number; readonly method: 'sync' | 'close' }
  | { readonly id: number; readonly method: 'open'; readonly buffers: readonly SharedBytes[] }
  | { readonly id: number; readonly method: 'write'; readonly blocks: readonly WritableBlock[] }
  | { readonly id: number; readonly method: 'read'; readonly reads: readonly SegmentRead[]; readonly into: SharedBytes }
  | { readonly id: number; readonly method: 'remove'; readonly names: readonly string[] };

export type FromSegments =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord }
  /** Payloads that were lent, and come back before the answer. */
  | { readonly id: number; readonly payloads: Bytes[] };

interface Call {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: EngineError) => void;
  readonly onWritten?: (payloads: Bytes[]) => void;
}

/** `Omit` over each member of a union. */
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

/** The thread keeps the process alive only while it has something to do. When it dies, every call rejects. */
export class SegmentThread implements Segments {
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #nextId = 0;
  #death: EngineError | undefined;

  constructor(options: SegmentStoreOptions) {
    const { url, execArgv } = threadEntry(import.meta.url, './segment-worker');
    const { directory, fsync, modelFingerprint, kvFormat, encryptionKey } = options;
    // Only these can cross: whoever calls may have callbacks beside them.
    const workerData: SegmentStoreOptions = {
      directory,
      fsync,
      modelFingerprint,
      kvFormat,
      ...(encryptionKey ? { encryptionKey } : {}),
    };
    this.#worker = new Worker(url, { workerData, execArgv });
    this.#worker.unref();
    this.#worker.on('message', (message: FromSegments) => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error.message : String(error)));
    this.#worker.on('exit', () => this.#fail('it ended'));
  }

  open(buffers: readonly SharedBytes[] = []): Promise<Scan> {
    return this.#call({ method: 'open', buffers });
  }

  write(
    blocks: readonly WritableBlock[],
    onWritten: (payloads: Bytes[]) => void,
  ): Promise<Omit<ScannedSegment, 'blocks'>> {
    const buffers = blocks.map(({ bytes }) => bytes.buffer);
    return this.#call({ method: 'write', blocks }, buffers, onWritten);
  }

  read(reads: readonly SegmentRead[], into: SharedBytes): Promise<ReadResult[]> {
    return this.#call({ method: 'read', reads, into });
  }

  remove(names: readonly string[]): Promise<void> {
    return this.#call({ method: 'remove', names });
  }

  sync(): Promise<void> {
    return this.#call({ method: 'sync' });
  }

  async close(): Promise<void> {
    try {
      await this.#call({ method: 'close' });
    } finally {
      await this.#worker.terminate();
    }
  }

  #call<Result>(
    message: WithoutId<ToSegments>,
    transferList: ArrayBuffer[] = [],
    onWritten?: (payloads: Bytes[]) => void,
  ): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (this.#death) {
        reject(this.#death);
        return;
      }
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
    if (this.#calls.size === 0) this.#worker.unref();
    if ('error' in message) call.reject(fromErrorRecord(message.error));
    else call.resolve(message.result);
  }

  #fail(reason: string): void {
    this.#death ??= new EngineError('internal', `the thread that keeps the KV cache's files failed: ${reason}`);
    for (const { reject } of this.#calls.values()) reject(this.#death);
    this.#calls.clear();
  }
}
