/** Parses ECMAScript regular expressions, as far as they describe regular languages. */
import { EngineError } from '../../runtime/errors.ts';
import { ALL, type CodePoints, complement, rangesOf, subtract, union } from './code-points.ts';

/** Larger counts in `{m,n}` are refused. */
export const MAX_REPEAT = 1_000;
const MAX_NESTING = 100;

export type RegexNode =
  | { readonly kind: 'set'; readonly set: CodePoints }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }
  | { readonly kind: 'sequence'; readonly nodes: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly nodes: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly node: RegexNode; readonly minimum: number; readonly maximum: number };

const DIGITS = rangesOf('09');
const WORD = rangesOf('azAZ09__');
const SPACE = union([
  ...rangesOf('\t\r  \u00a0\u00a0\u1680\u1680\u2000\u200a\u2028\u2029\u202f\u202f\u205f\u205f'),
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
const LINE_ENDS = rangesOf('\n\n\r\r\u2028\u2029');

const CLASSES: Readonly<Record<string, CodePoints>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, 0: 0 };

const single = (code: number): CodePoints => [[code, code]];

class Parser {
  readonly #characters: readonly string[];
  #at = 0;
  #nesting = 0;

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  parse(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#characters.length) this.#refuse('an unmatched )', 'write \\) for the character');
    return node;
  }

  #refuse(what: string, remedy: string): never {
    const pattern = this.#characters.join('');
    throw new EngineError(
      'invalid_request',
      `the regular expression ${JSON.stringify(pattern)} has ${what} at character ${this.#at + 1}; ${remedy}`,
    );
  }

  #peek(text: string): boolean {
    return [...text].every((character, i) => this.#characters[this.#at + i] === character);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += [...text].length;
    return true;
  }

  #choice(): RegexNode {
    if (++this.#nesting > MAX_NESTING) this.#refuse(`more than ${MAX_NESTING} nested groups`, 'nest them less deeply');
    const nodes = [this.#sequence()];
    while (this.#take('|')) nodes.push(this.#sequence());
    this.#nesting--;
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: 'choice', nodes };
  }

  #sequence(): RegexNode {
    const nodes: RegexNode[] = [];
    while (this.#at < this.#characters.length && !this.#peek('|') && !this.#peek(')')) {
      nodes.push(this.#quantified(this.#atom()));
    }
    return { kind: 'sequence', nodes };
  }

  #quantified(node: RegexNode): RegexNode {
    const bounds = this.#bounds();
    if (!bounds) return node;
    if (node.kind === 'start' || node.kind === 'end')
      this.#refuse('a repeated ^ or $', 'repeat something that takes up characters');
    this.#take('?');
    const [minimum, maximum] = bounds;
    if (this.#bounds()) this.#refuse('two quantifiers in a row', 'put the inner one in a group');
    return { kind: 'repeat', node, minimum, maximum };
  }

  #bounds(): readonly [number, number] | undefined {
    const infinite = Number.POSITIVE_INFINITY;
    if (this.#take('*')) return [0, infinite];
    if (this.#take('+')) return [1, infinite];
    if (this.#take('?')) return [0, 1];
    if (!this.#peek('{')) return undefined;
    const close = this.#characters.indexOf('}', this.#at);
    const text = this.#characters.slice(this.#at + 1, close < 0 ? undefined : close).join('');
    const [, low, comma, high] = /^(\d+)(,)?(\d+)?$/.exec(text) ?? [];
    if (close < 0 || low === undefined)
      return this.#refuse('a { that begins no quantifier', 'write \\{ for the character');
    const minimum = Number(low);
    const maximum = comma === undefined ? minimum : high === undefined ? infinite : Number(high);
    if (minimum > maximum) this.#refuse(`{${text}}, whose bounds are out of order`, 'write the smaller one first');
    if (minimum > MAX_REPEAT || (maximum > MAX_REPEAT && maximum !== infinite)) {
      this.#refuse(`{${text}}, more than ${MAX_REPEAT} repetitions`, 'use a smaller count, or *');
    }
    this.#at = close + 1;
    return [minimum, maximum];
  }

  #atom(): RegexNode {
    if (this.#take('^')) return { kind: 'start' };
    if (this.#take('$')) return { kind: 'end' };
    if (this.#take('.')) return { kind: 'set', set: complement(LINE_ENDS) };
    if (this.#peek('(')) return this.#group();
    if (this.#peek('[')) return { kind: 'set', set: this.#class() };
    if (this.#peek('*') || this.#peek('+') || this.#peek('?'))
      this.#refuse('a quantifier with nothing to repeat', 'escape it with \\ for the character');
    if (this.#peek('{')) this.#refuse('a { with nothing to repeat', 'write \\{ for the character');
    if (this.#peek('\\')) return { kind: 'set', set: this.#escape(false) };
    return { kind: 'set', set: single(this.#character()) };
  }

  #character(): number {
    const code = (this.#characters[this.#at] as string).codePointAt(0) as number;
    if (code >= 0xd800 && code <= 0xdfff) this.#refuse('half of a surrogate pair', 'write the whole character');
    this.#at++;
    return code;
  }

  #group(): RegexNode {
    for (const look of ['(?=', '(?!', '(?<=', '(?<!']) {
      if (this.#peek(look)) this.#refuse(`a lookaround ${look}…)`, 'say the same without it; the others are supported');
    }
    this.#take('(');
    if (this.#take('?<')) {
      const close = this.#characters.indexOf('>', this.#at);
      if (close < 0) this.#refuse('a group name without >', 'close it');
      this.#at = close + 1;
    } else if (this.#peek('?') && !this.#take('?:')) {
      this.#refuse('a group with flags', 'use (…), (?:…) or (?<name>…)');
    }
    const node = this.#choice();
    if (!this.#take(')')) this.#refuse('a group that is not closed', 'add )');
    return node;
  }

  #class(): CodePoints {
    this.#take('[');
    const isNegated = this.#take('^');
    const found: (readonly [number, number])[] = [];
    while (!this.#take(']')) {
      if (this.#at >= this.#characters.length) this.#refuse('a class that is not closed', 'add ]');
      const from = this.#classItem();
      const isRange =
        this.#peek('-') && this.#characters[this.#at + 1] !== ']' && this.#at + 1 < this.#characters.length;
      if (!isRange) {
        found.push(...from);
        continue;
      }
      this.#take('-');
      const to = this.#classItem();
      const [low, high] = [from[0], to[0]];
      if (from.length !== 1 || to.length !== 1 || !low || !high || low[0] !== low[1] || high[0] !== high[1]) {
        this.#refuse('a range whose end is a class', 'write \\- for the character -');
      } else if (low[0] > high[0]) this.#refuse('a range that is out of order', 'write the smaller character first');
      else found.push([low[0], high[0]]);
    }
    const set = union(found);
    return isNegated ? subtract(ALL, set) : set;
  }

  #classItem(): CodePoints {
    return this.#peek('\\') ? this.#escape(true) : single(this.#character());
  }

  #escape(isInClass: boolean): CodePoints {
    const letter = this.#characters[this.#at + 1];
    if (letter === undefined) return this.#refuse('a \\ at its end', 'write \\\\ for the character');
    if (isInClass && letter === 'b') {
      this.#at += 2;
      return single(8);
    }
    if (letter === 'b' || letter === 'B')
      this.#refuse(`\\${letter}`, 'word boundaries are not supported; say what stands beside the word');
    if (letter === 'p' || letter === 'P')
      this.#refuse(`\\${letter}{…}`, 'Unicode properties are not supported; use ranges such as [a-zà-ÿ]');
    if (letter === 'k' || /[1-9]/.test(letter))
      this.#refuse('a backreference', 'backreferences are not supported; repeat the group');
    if (letter === 'x' || letter === 'u') return single(this.#hexadecimal());
    if (letter === 'c') return single(this.#control());
    const known = CLASSES[letter];
    const control = CONTROLS[letter];
    if (known === undefined && control === undefined && /[A-Za-z0-9]/.test(letter)) {
      this.#refuse(`the unknown escape \\${letter}`, 'write the character itself');
    }
    this.#at++;
    const literal = this.#character();
    return known ?? single(control ?? literal);
  }

  #control(): number {
    const letter = this.#characters[this.#at + 2] ?? '';
    if (!/^[A-Za-z]$/.test(letter)) this.#refuse('\\c without a letter', 'write \\cA to \\cZ');
    this.#at += 3;
    return letter.charCodeAt(0) % 32;
  }

  #hexadecimal(): number {
    const rest = this.#characters.slice(this.#at, this.#at + 14).join('');
    const found = /^\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\})/i.exec(rest);
    if (!found) return this.#refuse('an escape without its hexadecimal digits', 'write \\xHH, \\uHHHH or \\u{H…}');
    const code = Number.parseInt(found[1] ?? found[2] ?? found[3] ?? '', 16);
    const pair = /^\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/i.exec(rest);
    if (!pair && code >= 0xd800 && code <= 0xdfff)
      this.#refuse('half of a surrogate pair', 'write the whole character');
    if (code > 0x10ffff) this.#refuse('a code point beyond 10FFFF', 'use a smaller one');
    this.#at += (pair ?? found)[0].length;
    return pair
      ? (String.fromCharCode(Number.parseInt(pair[1] ?? '', 16), Number.parseInt(pair[2] ?? '', 16)).codePointAt(
          0,
        ) as number)
      : code;
  }
}

/**
 * Parses a pattern, read as with ECMAScript's `u` flag.
 * @throws EngineError invalid_request for bad syntax and for lookaround, backreferences, word boundaries and \p, with the position
 */
export const parseRegex = (pattern: string): RegexNode => new Parser(pattern).parse();
