/** Several arrays of ids, one after the other. */
export const joinTokens = (parts: readonly Uint32Array[]): Uint32Array => {
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
};

/** Token ids as they are found: an array that grows. */
export class TokenBuffer {
  #ids = new Uint32Array(1024);
  #length = 0;

  push(id: number): void {
    if (this.#length === this.#ids.length) {
      const grown = new Uint32Array(2 * this.#length);
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids[this.#length++] = id;
  }

  get length(): number {
    return this.#length;
  }

  /** The ids so far, in an array of the caller's own. */
  toArray(): Uint32Array {
    return this.from(0);
  }

  /** The ids from an index on, in an array of the caller's own. */
  from(start: number): Uint32Array {
    return this.#ids.slice(start, this.#length);
  }
}
