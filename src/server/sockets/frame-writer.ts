/** The way out of a socket that many requests share: whoever waits for a slow peer goes on in turn. */
import type { Socket } from '../http.ts';
import type { FrameCodec } from './frame-codec.ts';

export class FrameWriter {
  readonly #socket: Socket;
  readonly #codec: FrameCodec;
  #isBehind = false;
  readonly #waiting: (() => void)[] = [];
  #isWaking = false;

  constructor(socket: Socket, codec: FrameCodec) {
    this.#socket = socket;
    this.#codec = codec;
  }

  /** Always taken; false: wait for `drained`. */
  send(frame: object): boolean {
    this.#isBehind = !this.#socket.send(this.#codec.encode(frame));
    return !this.#isBehind;
  }

  /** Resolves when it is the caller's turn to send once more. */
  drained(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#isWaking) void this.#wake();
    return turn;
  }

  /** One at a time: what all have to say after a long wait together may be more than may wait at once. */
  async #wake(): Promise<void> {
    this.#isWaking = true;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#isBehind) await this.#socket.drained();
      this.#isBehind = false;
      this.#waiting.shift();
      next();
      // Its turn: what it sends decides whether the next one may.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isWaking = false;
  }
}
