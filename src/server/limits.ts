/** How much may be in flight at once, and when nothing is. */
import { EngineError } from '../runtime/errors.ts';

const RETRY_AFTER_SECONDS = 1;
const RETRY_AFTER_DRAIN_SECONDS = 5;

/** What a server that ends answers to new requests. */
export const draining = (): EngineError =>
  new EngineError('shutting_down', 'the server is shutting down: send the request elsewhere, or retry later', {
    retryAfterSeconds: RETRY_AFTER_DRAIN_SECONDS,
  });

/** Counts requests in flight. `enter` and `leave` pair up; `admit` guards those that cost the engine something. */
export class RequestLimits {
  readonly #maxConcurrent: number;
  readonly #what: string;
  #open = 0;
  #admitted = 0;
  #whenIdle: (() => void)[] = [];

  /** @param what for the message: `requests are in flight` */
  constructor(maxConcurrent: number, what: string) {
    this.#maxConcurrent = maxConcurrent;
    this.#what = what;
  }

  enter(): void {
    this.#open++;
  }

  leave(): void {
    this.#open--;
    if (this.#open > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Takes one of the places; the caller gives it back with the returned function. @throws EngineError overloaded */
  admit(): () => void {
    if (this.#admitted >= this.#maxConcurrent) {
      throw new EngineError(
        'overloaded',
        `${this.#admitted} ${this.#what}, the most this server takes: retry in a moment`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      );
    }
    this.#admitted++;
    return () => {
      this.#admitted--;
    };
  }

  /** Resolves once no request is in flight. */
  idle(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }
}
