/** The streams that can be resumed, bounded together. */
import { type ReplayRoom, ResumableStream, type StreamLimits } from './resumable-stream.ts';

export interface StreamStoreOptions extends StreamLimits {
  /** Of all streams' events. Those that have ended go first, the oldest before the others. */
  readonly maxBytes: number;
}

export const DEFAULT_STREAM_STORE: StreamStoreOptions = Object.freeze({
  graceMs: 30_000,
  maxStreamBytes: 4 * 1024 * 1024,
  maxBytes: 64 * 1024 * 1024,
});

export class StreamStore implements ReplayRoom {
  readonly #options: StreamStoreOptions;
  readonly #streams = new Map<string, ResumableStream>();
  #numBytes = 0;
  #isStopping = false;

  constructor(options: StreamStoreOptions) {
    this.#options = options;
  }

  /** @param graceMs absent: as the server was told */
  open(id: string, owner: string, graceMs = this.#options.graceMs): ResumableStream {
    const stream = new ResumableStream(id, owner, { ...this.#options, graceMs }, this);
    this.#streams.set(id, stream);
    return stream;
  }

  /** Undefined for one that never was, is no longer kept, or is another's. */
  find(id: string, owner: string): ResumableStream | undefined {
    const stream = this.#streams.get(id);
    return stream?.owner === owner ? stream : undefined;
  }

  /** The server drains: work that nobody reads ends now. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#streams.values()) stream.abandonIfUnread('the server is shutting down');
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  close(): void {
    for (const stream of this.#streams.values()) this.forget(stream);
  }

  forget(stream: ResumableStream): void {
    this.#streams.delete(stream.id);
    stream.close();
  }

  take(numBytes: number): boolean {
    this.#numBytes += numBytes;
    if (numBytes < 0) return this.#numBytes > this.#options.maxBytes;
    for (const stream of this.#streams.values()) {
      if (this.#numBytes <= this.#options.maxBytes) return false;
      if (stream.hasEnded) this.forget(stream);
    }
    return this.#numBytes > this.#options.maxBytes;
  }
}
