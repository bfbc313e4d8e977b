/**
 * Parts of an answer whose grammar is loose, and which are checked beside it. Strings of many characters would cost the
 * library a look through most of the vocabulary in each of their states, and a hundred tools' schemas a second before the
 * first token; the loose grammar of either is one and the same for all.
 *
 * An inset begins behind its first byte, `"` or `{`, where the loose grammar has an alternative that no token writes: the
 * marker of the inset's number, which is tried to find out where an answer stands.
 */
import type { Automaton } from './automaton.ts';

export type Inset =
  /** A string of the automaton's texts. */
  | { readonly kind: 'texts'; readonly automaton: Automaton }
  /** A string of so many code points. */
  | { readonly kind: 'length'; readonly minimum: number; readonly maximum: number }
  /** A JSON object of a grammar, which is compiled when an answer gets there. */
  | { readonly kind: 'object'; readonly grammar: string; readonly insets: Insets };

const BASE = 16;
const NUM_DIGITS = 3;
/** A byte that is in no text. */
export const MARK = 0xff;
/** Another one, which only free text lets through behind the mark. */
export const NO_MARK = 0xfe;
const ZERO = 0x80;

/** The insets of a grammar, by number. */
export class Insets {
  readonly #all: Inset[] = [];
  readonly #numberOf = new Map<string, number>();

  get size(): number {
    return this.#all.length;
  }

  at(number: number): Inset {
    return this.#all[number]!;
  }

  /** Whether another one has a number. */
  get hasRoom(): boolean {
    return this.#all.length < BASE ** NUM_DIGITS;
  }

  /** Adds an inset, once for a key. Returns its marker. */
  add(key: string, make: () => Inset): number[] {
    const number = this.#numberOf.get(key) ?? this.#all.push(make()) - 1;
    this.#numberOf.set(key, number);
    const digits = number.toString(BASE).padStart(NUM_DIGITS, '0');
    return [MARK, ...Array.from(digits, (digit) => ZERO + Number.parseInt(digit, BASE))];
  }
}

/**
 * The number of the inset that begins at a place.
 * @param takes whether a byte may follow, and goes on behind it if so; the caller goes back to the place afterwards
 */
export const readMarker = (takes: (byte: number) => boolean): number | undefined => {
  if (!takes(MARK) || takes(NO_MARK)) return undefined;
  let number = 0;
  for (let i = 0; i < NUM_DIGITS; i++) {
    let digit = 0;
    while (digit < BASE && !takes(ZERO + digit)) digit++;
    if (digit === BASE) return undefined;
    number = number * BASE + digit;
  }
  return number;
};
