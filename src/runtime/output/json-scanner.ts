/** Follows JSON character by character, so that values can be passed on while they are made. */

/** inside: more must come. end: this character ends the value. past: the one before did. error: no JSON. */
export type JsonStep = 'inside' | 'end' | 'past' | 'error';

type Expected =
  | 'value'
  | 'first value'
  | 'key'
  | 'first key'
  | 'colon'
  | 'comma'
  | 'string'
  | 'escape'
  | 'literal'
  | NumberPart;

type NumberPart = 'sign' | 'zero' | 'integer' | 'point' | 'fraction' | 'exponent' | 'exponent sign' | 'exponent digits';

const SPACE = /[ \t\n\r]/;
const DIGIT = /[0-9]/;
const LITERALS = ['true', 'false', 'null'];

/** What may follow each part of a number, and which part it begins. Source: RFC 8259, section 6. */
const NUMBER_PARTS: Readonly<Record<NumberPart, readonly (readonly [RegExp, NumberPart])[]>> = {
  sign: [
    [/0/, 'zero'],
    [/[1-9]/, 'integer'],
  ],
  zero: [
    [/\./, 'point'],
    [/[eE]/, 'exponent'],
  ],
  integer: [
    [DIGIT, 'integer'],
    [/\./, 'point'],
    [/[eE]/, 'exponent'],
  ],
  point: [[DIGIT, 'fraction']],
  fraction: [
    [DIGIT, 'fraction'],
    [/[eE]/, 'exponent'],
  ],
  exponent: [
    [/[+-]/, 'exponent sign'],
    [DIGIT, 'exponent digits'],
  ],
  'exponent sign': [[DIGIT, 'exponent digits']],
  'exponent digits': [[DIGIT, 'exponent digits']],
};
const WHOLE_NUMBERS: ReadonlySet<string> = new Set(['zero', 'integer', 'fraction', 'exponent digits']);

const isNumberPart = (expected: Expected): expected is NumberPart => Object.hasOwn(NUMBER_PARTS, expected);

/**
 * Follows one JSON value. Two mistakes that models make inside strings lose nothing when they are put right, so they
 * are: raw control characters become escapes, and the backslash of an unknown escape is doubled.
 */
export class JsonScanner {
  /** Open brackets, outermost first. */
  readonly #open: string[];
  #expected: Expected = 'value';
  #isKey = false;
  #part = '';
  #text = '';

  /** @param from what is followed alike from here on, independently; absent: a new value */
  constructor(from?: JsonScanner) {
    this.#open = from ? [...from.#open] : [];
    if (from === undefined) return;
    this.#expected = from.#expected;
    this.#isKey = from.#isKey;
    this.#part = from.#part;
    this.#text = from.#text;
  }

  /** The value's text since the last call, as JSON. What a later character may still change is not in it. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** @param character one UTF-16 unit */
  push(character: string): JsonStep {
    const expected = this.#expected;
    if (expected === 'string') return this.#inString(character);
    if (expected === 'escape') return this.#inEscape(character);
    if (expected === 'literal') return this.#inLiteral(character);
    if (isNumberPart(expected)) return this.#inNumber(expected, character);
    if (SPACE.test(character)) return this.#add(character);
    if (expected === 'colon') return character === ':' ? this.#add(character, 'value') : 'error';
    if (expected === 'comma') return this.#afterValue(character);
    const isFirst = expected === 'first key' || expected === 'first value';
    if (isFirst && (character === '}' || character === ']')) return this.#close(character);
    if (expected === 'key' || expected === 'first key') {
      this.#isKey = true;
      return character === '"' ? this.#add(character, 'string') : 'error';
    }
    return this.#beginValue(character);
  }

  #beginValue(character: string): JsonStep {
    this.#isKey = false;
    if (character === '{' || character === '[') {
      this.#open.push(character);
      return this.#add(character, character === '{' ? 'first key' : 'first value');
    }
    if (character === '"') return this.#add(character, 'string');
    if (character === '-') return this.#add(character, 'sign');
    if (DIGIT.test(character)) return this.#add(character, character === '0' ? 'zero' : 'integer');
    this.#part = character;
    return LITERALS.some((literal) => literal.startsWith(character)) ? this.#add(character, 'literal') : 'error';
  }

  #afterValue(character: string): JsonStep {
    if (character !== ',') return character === '}' || character === ']' ? this.#close(character) : 'error';
    return this.#add(character, this.#open.at(-1) === '{' ? 'key' : 'value');
  }

  #close(character: string): JsonStep {
    if (this.#open.pop() !== (character === '}' ? '{' : '[')) return 'error';
    this.#text += character;
    return this.#endValue();
  }

  #endValue(): JsonStep {
    this.#expected = 'comma';
    return this.#open.length === 0 ? 'end' : 'inside';
  }

  #inString(character: string): JsonStep {
    if (character === '\\') {
      this.#expected = 'escape';
      this.#part = '';
      return 'inside';
    }
    if (character !== '"') return this.#add(character < ' ' ? JSON.stringify(character).slice(1, -1) : character);
    this.#text += character;
    if (!this.#isKey) return this.#endValue();
    this.#expected = 'colon';
    return 'inside';
  }

  /** An escape leaves when it is whole. */
  #inEscape(character: string): JsonStep {
    if (this.#part === '') {
      if (character === 'u') {
        this.#part = 'u';
        return 'inside';
      }
      if ('"\\/bfnrt'.includes(character)) return this.#add(`\\${character}`, 'string');
    } else if (/[0-9a-fA-F]/.test(character)) {
      this.#part += character;
      return this.#part.length < 5 ? 'inside' : this.#add(`\\${this.#part}`, 'string');
    }
    this.#add(`\\\\${this.#part}`, 'string');
    return this.#inString(character);
  }

  #inLiteral(character: string): JsonStep {
    const text = this.#part + character;
    if (LITERALS.some((literal) => literal.startsWith(text))) {
      this.#part = text;
      return this.#add(character);
    }
    return LITERALS.includes(this.#part) ? this.#pastScalar(character) : 'error';
  }

  #inNumber(part: NumberPart, character: string): JsonStep {
    const next = NUMBER_PARTS[part].find(([pattern]) => pattern.test(character));
    if (next) return this.#add(character, next[1]);
    return WHOLE_NUMBERS.has(part) ? this.#pastScalar(character) : 'error';
  }

  /** Numbers and literals end where something else begins. */
  #pastScalar(character: string): JsonStep {
    if (this.#endValue() === 'end') return 'past';
    return this.push(character);
  }

  #add(text: string, next?: Expected): JsonStep {
    this.#text += text;
    if (next !== undefined) this.#expected = next;
    return 'inside';
  }
}
