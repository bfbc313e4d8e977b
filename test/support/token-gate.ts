/** Holds a scripted model's tokens back until the test lets them go. */
import type { BeforeToken } from './serve.ts';

export class TokenGate {
  #numAllowed = 0;
  #waiting: { readonly index: number; readonly open: () => void }[] = [];

  /** Waits until token `index` of a sequence is allowed. Pass it to the scripted model. */
  readonly beforeToken: BeforeToken = (_sequenceId, index) =>
    index < this.#numAllowed
      ? Promise.resolve()
      : new Promise((open) => {
          this.#waiting.push({ index, open });
        });

  /** Lets everything go, the end of the sequence as well, which a model says as one more token. */
  open(): void {
    this.allow(Number.POSITIVE_INFINITY);
  }

  /** Lets the first `count` tokens of every sequence go. */
  allow(count: number): void {
    this.#numAllowed = count;
    const ready = this.#waiting.filter(({ index }) => index < count);
    this.#waiting = this.#waiting.filter(({ index }) => index >= count);
    for (const { open } of ready) open();
  }
}
