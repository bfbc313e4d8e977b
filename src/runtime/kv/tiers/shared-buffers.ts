/** Memory that blocks are read into, over and over: into fresh pages a read takes several times as long. */

/** The disk's thread fills them, the engine's empties them: nothing is copied or allocated on the way. */
export type SharedBytes = Uint8Array<SharedArrayBuffer>;

/** One is read into while another is emptied; the third is for a second reader. */
const NUM_BUFFERS = 3;
/** As much as moves to the pool at once, with what encryption adds. */
const BUFFER_BYTES = 4 * 1024 ** 2 + 64 * 1024;
/** What is larger serves one read. */
const MAX_KEPT_BYTES = 16 * 1024 ** 2;

const allocate = (numBytes: number): SharedBytes => new Uint8Array(new SharedArrayBuffer(numBytes));

export class SharedBuffers {
  /** The one that was used last at the end: it is the likeliest to be in the processor's caches. */
  readonly #free: SharedBytes[] = Array.from({ length: NUM_BUFFERS }, () => allocate(BUFFER_BYTES));
  readonly #waiting: ((buffer: SharedBytes) => void)[] = [];

  /** Those that nobody has. */
  get free(): readonly SharedBytes[] {
    return this.#free;
  }

  /** At least so many bytes, once there are any: whoever has some must not wait for more before it gives them back. */
  async take(numBytes: number): Promise<SharedBytes> {
    const buffer = this.#free.pop() ?? (await new Promise<SharedBytes>((resolve) => this.#waiting.push(resolve)));
    return buffer.byteLength >= numBytes ? buffer : allocate(numBytes);
  }

  giveBack(buffer: SharedBytes): void {
    const kept = buffer.byteLength <= MAX_KEPT_BYTES ? buffer : allocate(BUFFER_BYTES);
    const next = this.#waiting.shift();
    if (next) next(kept);
    else this.#free.push(kept);
  }
}
