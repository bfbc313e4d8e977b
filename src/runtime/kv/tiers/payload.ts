/** A block's bytes, which several tiers share and one at a time may lend to its thread. */

export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Lending transfers the buffer, so that nothing is copied on the engine's loop; whoever reads meanwhile waits until it is
 * back. Bytes that a reader has are never transferred any more: that would empty them under its hands.
 */
export class Payload {
  readonly byteLength: number;
  #bytes: Bytes | undefined;
  #wasRead = false;
  #return: Promise<void> | undefined;

  constructor(bytes: Bytes) {
    this.byteLength = bytes.byteLength;
    // A view of a larger buffer cannot be transferred alone.
    this.#bytes = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  }

  /** The bytes, once they are here; undefined when the thread that had them ended. Not to be changed. */
  async read(): Promise<Bytes | undefined> {
    this.#wasRead = true;
    while (this.#return) await this.#return;
    return this.#bytes;
  }

  /** Bytes to transfer, and whom to give them back to. Undefined when they are lost. */
  async lend(): Promise<{ bytes: Bytes; giveBack: (bytes: Bytes | undefined) => void } | undefined> {
    while (this.#return) await this.#return;
    const bytes = this.#bytes;
    if (!bytes) return undefined;
    if (this.#wasRead) return { bytes: bytes.slice(), giveBack: () => {} };
    this.#bytes = undefined;
    let giveBack = (_: Bytes | undefined): void => {};
    this.#return = new Promise((resolve) => {
      giveBack = (back) => {
        this.#bytes = back;
        this.#return = undefined;
        resolve();
      };
    });
    return { bytes, giveBack };
  }
}
