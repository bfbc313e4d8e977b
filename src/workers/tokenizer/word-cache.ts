/** Remembers words with their tokens: text repeats itself. */
import type { TokenBuffer } from './token-buffer.ts';

const MAX_WORDS = 100_000;
const MAX_LENGTH = 64;

/** Encodes a word without looking at others. */
export type WordEncoding = (word: string, result: TokenBuffer) => void;

export class WordCache {
  readonly #found = new Map<string, Uint32Array | number>();

  /** Appends the word's tokens, from memory where it is known. */
  push(word: string, result: TokenBuffer, encode: WordEncoding): void {
    if (word.length > MAX_LENGTH) {
      encode(word, result);
      return;
    }
    const known = this.#found.get(word);
    if (known === undefined) this.#learn(word, result, encode);
    else if (typeof known === 'number') result.push(known);
    else for (let at = 0; at < known.length; at++) result.push(known[at]!);
  }

  #learn(word: string, result: TokenBuffer, encode: WordEncoding): void {
    const start = result.length;
    encode(word, result);
    if (this.#found.size >= MAX_WORDS) this.#found.clear();
    const ids = result.from(start);
    this.#found.set(word, ids.length === 1 ? ids[0]! : ids);
  }
}
