/** Automata over the bytes of a JSON string's content, behind its opening quote and up to and with the closing one. */
import type { Automaton } from './automaton.ts';
import { escapedCodes, escapeOf } from './automaton-rules.ts';

/** No text goes on like this. */
export const DEAD = -1;
/** The string has ended. */
export const OVER = -2;

/** States by number, and lazily their successors. */
export abstract class ByteAutomaton {
  /** [state, byte]: the next state, DEAD, OVER, or UNKNOWN where nobody went yet. It is another array once it has grown. */
  table = new Int32Array(0);
  readonly #numberOf = new Map<string | number, number>();

  /** The next state, or DEAD or OVER. */
  next(state: number, byte: number): number {
    const at = state * 256 + byte;
    const known = this.table[at]!;
    if (known !== UNKNOWN) return known;
    const found = this.find(state, byte);
    this.table[at] = found;
    return found;
  }

  protected abstract find(state: number, byte: number): number;

  /** The number of a state by its key, and whether it is new: numbers count up from 0. */
  protected number(key: string | number): readonly [number: number, isNew: boolean] {
    const known = this.#numberOf.get(key);
    if (known !== undefined) return [known, false];
    const number = this.#numberOf.size;
    this.#numberOf.set(key, number);
    if (this.table.length < (number + 1) * 256) {
      const grown = new Int32Array(Math.max(8 * 256, this.table.length * 2)).fill(UNKNOWN);
      grown.set(this.table);
      this.table = grown;
    }
    return [number, true];
  }
}

export const UNKNOWN = -3;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Shortest and longest code points of UTF-8's lengths, in bytes behind the first. */
const FIRST_OF_LENGTH = [0, 0x80, 0x800, 0x10000];

interface State {
  /** Of the automaton of code points. */
  readonly at: number;
  /** Of an escape: what is written of it. */
  readonly written: string;
  /** Of a character of several bytes: its bits so far, and the bytes that are missing. */
  readonly bits: number;
  readonly missing: number;
  readonly length: number;
}

/** The texts of an automaton, each character written as JSON wants it: escaped only where it must be. */
export class WrittenTexts extends ByteAutomaton {
  readonly first: number;
  readonly #automaton: Automaton;
  readonly #states: State[] = [];

  constructor(automaton: Automaton) {
    super();
    this.#automaton = automaton;
    this.first = this.#state(0);
  }

  #state(at: number, written = '', bits = 0, missing = 0, length = 0): number {
    const [number, isNew] = this.number(`${at} ${written} ${bits} ${missing} ${length}`);
    if (isNew) this.#states.push({ at, written, bits, missing, length });
    return number;
  }

  protected find(state: number, byte: number): number {
    const { at, written, bits, missing, length } = this.#states[state]!;
    if (missing > 0) {
      return (byte & 0xc0) === 0x80 ? this.#bytes(at, (bits << 6) | (byte & 0x3f), missing - 1, length) : DEAD;
    }
    if (written !== '' || byte === BACKSLASH) return this.#escaped(at, written + String.fromCharCode(byte));
    if (byte === QUOTE) return this.#automaton[at]!.accepts ? OVER : DEAD;
    if (byte < 0x20) return DEAD;
    if (byte < 0x80) return this.#bytes(at, byte, 0, 0);
    if (byte >= 0xc2 && byte < 0xe0) return this.#bytes(at, byte & 0x1f, 1, 1);
    if (byte >= 0xe0 && byte < 0xf0) return this.#bytes(at, byte & 0x0f, 2, 2);
    return byte >= 0xf0 && byte < 0xf5 ? this.#bytes(at, byte & 0x07, 3, 3) : DEAD;
  }

  /** The state behind some bits of a character, if one that the automaton takes begins so. */
  #bytes(at: number, bits: number, missing: number, length: number): number {
    const low = Math.max(bits << (6 * missing), FIRST_OF_LENGTH[length]!);
    const high = ((bits + 1) << (6 * missing)) - 1;
    const edge = this.#automaton[at]!.edges.find(({ on }) => on.some(([from, to]) => from <= high && to >= low));
    if (edge === undefined || low > high) return DEAD;
    return missing === 0 ? this.#state(edge.to) : this.#state(at, '', bits, missing, length);
  }

  #escaped(at: number, written: string): number {
    const codes = escapedCodes.filter((code) => escapeOf(code).startsWith(written));
    for (const code of codes) {
      const edge = this.#automaton[at]!.edges.find(({ on }) => on.some(([from, to]) => from <= code && code <= to));
      if (edge) return escapeOf(code) === written ? this.#state(edge.to) : this.#state(at, written);
    }
    return DEAD;
  }
}

/** Where a character is while it is written in several bytes. */
const WHOLE = 0;
const ESCAPE = 4;
const FIRST_DIGIT = 5;
const SECOND_OF_D = 6;
const DIGITS = 7;
const HIGH = 10;
const LOW_BACKSLASH = 12;
const LOW_U = 13;
const LOW_DIGITS = 14;

interface Count {
  readonly room: number;
  readonly needed: number;
  readonly place: number;
}

/**
 * Strings of so many code points, in whatever way they are written: what else makes a string is checked elsewhere. One
 * automaton for all lengths: its states are how many characters there may still be, and how many there must be.
 */
export class CountedTexts extends ByteAutomaton {
  readonly #counts: Count[] = [];

  /** The state between characters; `Infinity`: as many as one likes. */
  state(room: number, needed: number, place = WHOLE): number {
    const [number, isNew] = this.number(`${room} ${needed} ${place}`);
    if (isNew) this.#counts.push({ room, needed, place });
    return number;
  }

  placeOf(state: number): number {
    return this.#counts[state]!.place;
  }

  protected find(state: number, byte: number): number {
    const { room, needed, place } = this.#counts[state]!;
    if (place !== WHOLE) return this.state(room, needed, placeAfter(place, byte));
    if (byte === QUOTE) return needed === 0 ? OVER : DEAD;
    if (room === 0) return DEAD;
    const next = byte === BACKSLASH ? ESCAPE : byte < 0x80 ? WHOLE : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    return this.state(room - 1, Math.max(0, needed - 1), next);
  }
}

/** Where a character is after one more of its bytes, behind the first. */
const placeAfter = (place: number, byte: number): number => {
  switch (place) {
    case ESCAPE:
      return byte === 0x75 ? FIRST_DIGIT : WHOLE;
    case FIRST_DIGIT:
      return byte === 0x64 || byte === 0x44 ? SECOND_OF_D : DIGITS + 2;
    case SECOND_OF_D:
      // Of D800–DBFF, the other half of the pair follows.
      return byte >= 0x38 ? HIGH + 1 : DIGITS + 1;
    case DIGITS:
    case HIGH:
      return place === HIGH ? LOW_BACKSLASH : WHOLE;
    case LOW_U:
      return LOW_DIGITS + 3;
    case LOW_DIGITS:
      return WHOLE;
    case LOW_BACKSLASH:
      return LOW_U;
    default:
      return place - 1;
  }
};
