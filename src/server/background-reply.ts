/** Where the answer goes of an exchange that goes on without its client: to the client while it is there, else nowhere. */
import type { Usage } from '../runtime/api.ts';
import type { ExchangeReply, FrameStream } from './generate.ts';

/** What is written here is kept by the exchange itself. */
const NOWHERE: FrameStream = { write: () => true, drained: () => Promise.resolve(), end: () => {} };

export class BackgroundReply implements ExchangeReply {
  readonly #reply: ExchangeReply;
  readonly #begun: (() => object) | undefined;
  /** Who leaves before the work is accepted was never told of it, and could not find it again. */
  readonly #leaving = new AbortController();
  #hasBegun = false;

  /** @param begun the whole answer to the client, once the work is accepted; absent: it reads the stream */
  constructor(reply: ExchangeReply, begun?: () => object) {
    this.#reply = reply;
    this.#begun = begun;
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
    if (this.#begun === undefined) return this.#reply.frames();
    this.#reply.json(200, this.#begun());
    return NOWHERE;
  }
}
