/** Where the answer goes of an exchange that goes on without its client: to who reads it now, and who comes later. */
import type { Usage } from '../runtime/api.ts';
import type { ExchangeReply, FrameStream } from './generate.ts';
import type { ResumableStream } from './resume/resumable-stream.ts';

export interface BackgroundOptions {
  /** The whole answer to the client, once the work is accepted; absent: it reads the stream. */
  readonly begun?: () => object;
  /** Keeps the events for those who come later. */
  readonly open: () => ResumableStream;
}

export class BackgroundReply implements ExchangeReply {
  readonly #reply: ExchangeReply;
  readonly #options: BackgroundOptions;
  /** Who leaves before the work is accepted was never told of it, and could not find it again. */
  readonly #leaving = new AbortController();
  #hasBegun = false;

  constructor(reply: ExchangeReply, options: BackgroundOptions) {
    this.#reply = reply;
    this.#options = options;
    const leave = (): void => {
      if (!this.#hasBegun) this.#leaving.abort(reply.signal.reason);
    };
    reply.signal.addEventListener('abort', leave, { once: true });
    if (reply.signal.aborted) leave();
  }

  get requestId(): string {
    return this.#reply.requestId;
  }

  get arrivedMs(): number {
    return this.#reply.arrivedMs;
  }

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get usage(): Usage | undefined {
    return this.#reply.usage;
  }

  set usage(usage: Usage | undefined) {
    this.#reply.usage = usage;
  }

  addHeaders(headers: Readonly<Record<string, string>>): void {
    if (!this.#hasBegun) this.#reply.addHeaders(headers);
  }

  json(status: number, body: object): void {
    this.#reply.json(status, body);
  }

  frames(): FrameStream {
    this.#hasBegun = true;
    const { begun, open } = this.#options;
    const kept = open();
    if (begun === undefined) return both(this.#reply.frames(), kept);
    this.#reply.json(200, begun());
    return kept;
  }
}

/** The client paces the stream while it is there: one that has gone takes everything at once. */
const both = (client: FrameStream, kept: FrameStream): FrameStream => ({
  write: (frames) => {
    kept.write(frames);
    return client.write(frames);
  },
  drained: () => client.drained(),
  end: () => {
    kept.end();
    client.end();
  },
});
