/** Reads the arguments of a call written in Python: literals alone, which JSON has too. */

export interface PythonArguments {
  readonly positional: readonly unknown[];
  readonly named: ReadonlyMap<string, unknown>;
}

const NUMBER = /^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?/;
const NAME = /^[A-Za-z_]\w*/;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['True', true],
  ['true', true],
  ['False', false],
  ['false', false],
  ['None', null],
  ['null', null],
]);
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '\n': '' };
const HEX_ESCAPE = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/;
const MAX_DEPTH = 64;

class NotPython extends Error {}

/** @param text what stands between the parentheses. @returns undefined: it is no list of arguments */
export const readPythonArguments = (text: string): PythonArguments | undefined => {
  try {
    return new Reader(text).arguments();
  } catch (error) {
    if (error instanceof NotPython) return undefined;
    throw error;
  }
};

class Reader {
  #rest: string;

  constructor(text: string) {
    this.#rest = text;
  }

  arguments(): PythonArguments {
    const positional: unknown[] = [];
    const named = new Map<string, unknown>();
    for (this.#skipSpace(); this.#rest !== ''; this.#separate('')) {
      const name = NAME.exec(this.#rest)?.[0];
      const isNamed = name !== undefined && /^\s*=/.test(this.#rest.slice(name.length));
      if (isNamed ? named.has(name) : named.size > 0) throw new NotPython();
      if (isNamed) {
        this.#take(name.length);
        this.#take(1);
        named.set(name, this.#value(0));
      } else positional.push(this.#value(0));
    }
    return { positional, named };
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new NotPython();
    const [first = ''] = this.#rest;
    if (first === '"' || first === "'") return this.#string(first);
    if (first === '[' || first === '(') return this.#list(first === '[' ? ']' : ')', depth);
    if (first === '{') return this.#dictionary(depth);
    const number = NUMBER.exec(this.#rest)?.[0];
    if (number !== undefined) {
      this.#take(number.length);
      // JSON has no infinity.
      if (!Number.isFinite(Number(number))) throw new NotPython();
      return Number(number);
    }
    const word = NAME.exec(this.#rest)?.[0] ?? '';
    if (!WORDS.has(word)) throw new NotPython();
    this.#take(word.length);
    return WORDS.get(word);
  }

  #list(end: string, depth: number): unknown[] {
    const values: unknown[] = [];
    this.#take(1);
    while (!this.#rest.startsWith(end)) {
      values.push(this.#value(depth + 1));
      this.#separate(end);
    }
    this.#take(1);
    return values;
  }

  #dictionary(depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    this.#take(1);
    while (!this.#rest.startsWith('}')) {
      const key = this.#value(depth + 1);
      if (typeof key !== 'string' || entries.has(key) || !this.#rest.startsWith(':')) throw new NotPython();
      this.#take(1);
      entries.set(key, this.#value(depth + 1));
      this.#separate('}');
    }
    this.#take(1);
    return Object.fromEntries(entries);
  }

  #string(quote: string): string {
    const end = this.#rest.startsWith(quote.repeat(3)) ? quote.repeat(3) : quote;
    let index = end.length;
    const parts: string[] = [];
    while (!this.#rest.startsWith(end, index)) {
      if (index >= this.#rest.length) throw new NotPython();
      const character = this.#rest[index]!;
      const found = character === '\\' ? this.#escape(index + 1) : { text: character, length: 0 };
      parts.push(found.text);
      index += 1 + found.length;
    }
    this.#take(index + end.length);
    return parts.join('');
  }

  #escape(index: number): { text: string; length: number } {
    const next = this.#rest[index] ?? '';
    const known = ESCAPES[next];
    if (known !== undefined) return { text: known, length: 1 };
    const hex = HEX_ESCAPE.exec(this.#rest.slice(index, index + 5));
    if (hex) return { text: String.fromCharCode(Number.parseInt(hex[1] ?? hex[2]!, 16)), length: hex[0].length };
    return '\\\'"'.includes(next) ? { text: next, length: 1 } : { text: `\\${next}`, length: 1 };
  }

  /** A comma, unless the end follows. */
  #separate(end: string): void {
    if (this.#rest.startsWith(',')) this.#take(1);
    else if (end === '' ? this.#rest !== '' : !this.#rest.startsWith(end)) throw new NotPython();
  }

  #take(length: number): void {
    this.#rest = this.#rest.slice(length);
    this.#skipSpace();
  }

  #skipSpace(): void {
    this.#rest = this.#rest.trimStart();
  }
}
