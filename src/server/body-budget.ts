/** How many bytes of request bodies the server holds at once, over all requests that it reads or answers. */
import { EngineError } from '../runtime/errors.ts';

const RETRY_AFTER_SECONDS = 1;

export class BodyBudget {
  readonly #maxBytes: number;
  #numBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** A body's share, from before it is read until its request is answered. */
  hold(): HeldBody {
    let held = 0;
    const settle = (numBytes: number): void => {
      this.#numBytes += numBytes - held;
      held = numBytes;
    };
    const add = (numBytes: number): void => {
      const others = this.#numBytes - held;
      if (others > 0 && this.#numBytes + numBytes > this.#maxBytes) throw this.#full(others);
      settle(held + numBytes);
    };
    return { add, settle, release: () => settle(0) };
  }

  #full(others: number): EngineError {
    const message = `the bodies of other requests in flight have ${others} of the ${this.#maxBytes} bytes that this server holds: retry in a moment`;
    return new EngineError('overloaded', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
}

export interface HeldBody {
  /** More of it has come. @throws EngineError overloaded: it does not fit beside the others; one alone always fits */
  add(numBytes: number): void;
  /** It has become so many bytes, after decompression. */
  settle(numBytes: number): void;
  /** Twice does nothing. */
  release(): void;
}
