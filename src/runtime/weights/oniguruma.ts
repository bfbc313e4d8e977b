/**
 * Writes the regular expressions of tokenizer.json, whose syntax is Oniguruma's, as JavaScript expressions for the flags
 * `gu`. Source: Oniguruma's `RE` document.
 */
import { EngineError } from '../errors.ts';

/** @throws EngineError model_unsupported, naming the construct */
export const javascriptPattern = (source: string): string => {
  const pattern = new Translation(source).pattern();
  try {
    new RegExp(pattern, 'gu');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError('model_unsupported', `the expression ${source} cannot be used: ${reason}`, {}, { cause });
  }
  return pattern;
};

/** Text as an expression that matches it. */
export const literalPattern = (text: string): string => Array.from(text, literal).join('');

const literal = (character: string): string => (/[\^$\\.*+?()[\]{}|/-]/.test(character) ? `\\${character}` : character);

/** Sets that a letter after a backslash stands for, as they may stand within brackets. */
const SETS: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  w: '\\p{L}\\p{M}\\p{N}\\p{Pc}',
  h: '0-9a-fA-F',
};

const CONTROLS: Readonly<Record<string, string>> = {
  n: '\\n',
  r: '\\r',
  t: '\\t',
  f: '\\f',
  v: '\\v',
  a: '\\x07',
  e: '\\x1b',
};
const ANCHORS: Readonly<Record<string, string>> = { A: '(?<![^])', z: '(?![^])' };
const SCRIPTS = /^(Han|Hiragana|Katakana|Hangul|Latin|Greek|Cyrillic|Thai|Arabic|Hebrew|Khmer|Lao|Myanmar)$/;
const GROUPS = ['(?:', '(?=', '(?!', '(?<=', '(?<!'];
const QUANTIFIER = /^(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/;

class Translation {
  readonly #source: string;
  #at = 0;
  #ignoresCase = false;
  #numAtomic = 0;

  constructor(source: string) {
    this.#source = source;
  }

  pattern(): string {
    const result = this.#alternatives();
    if (this.#at < this.#source.length) this.#refuse('an unopened )');
    return result;
  }

  /** Up to the end of the group, whose parenthesis is left. */
  #alternatives(): string {
    const ignoredCase = this.#ignoresCase;
    let result = '';
    while (this.#at < this.#source.length && this.#peek() !== ')') {
      if (this.#take('|')) result += '|';
      else result += this.#quantified();
    }
    this.#ignoresCase = ignoredCase;
    return result;
  }

  #quantified(): string {
    let result = this.#atom();
    for (;;) {
      const [quantifier] = QUANTIFIER.exec(this.#source.slice(this.#at, this.#at + 16)) ?? [];
      if (quantifier === undefined) return result;
      this.#at += quantifier.length;
      const isRange = quantifier.startsWith('{');
      const repeated = `${result}${quantifier.replace('{,', '{0,')}`;
      if (!isRange && this.#take('+')) result = this.#atomic(repeated);
      else result = `(?:${repeated}${this.#take('?') ? '?' : ''})`;
    }
  }

  #atom(): string {
    if (this.#peek() === '(') return this.#group();
    if (this.#take('[')) return this.#brackets();
    if (this.#take('.')) return '[^\\n]';
    if (this.#take('^')) return '(?<![^\\n])';
    if (this.#take('$')) return '(?![^\\n])';
    if (this.#peek() !== '\\') return this.#cased(this.#next());
    const letter = this.#source[this.#at + 1] ?? this.#refuse('a backslash at the end');
    if (ANCHORS[letter]) {
      this.#at += 2;
      return ANCHORS[letter];
    }
    if (letter === 'W') {
      this.#at += 2;
      return `[^${SETS.w}]`;
    }
    if (/[1-9bBGkKRXyYZ]/.test(letter)) this.#refuse(`\\${letter}`);
    const { set, character } = this.#escape();
    return set === undefined ? this.#cased(character!) : `[${set}]`;
  }

  #group(): string {
    const rest = this.#source.slice(this.#at);
    const [options, sign, colon] = /^\(\?(i|-i)([:)])/.exec(rest) ?? [];
    if (options !== undefined) {
      this.#at += options.length;
      const before = this.#ignoresCase;
      this.#ignoresCase = sign === 'i';
      // Options without a colon hold up to the end of the group that they are in.
      if (colon === ')') return '';
      const result = `(?:${this.#alternatives()}${this.#close()}`;
      this.#ignoresCase = before;
      return result;
    }
    if (rest.startsWith('(?>')) {
      this.#at += 3;
      const inner = this.#alternatives();
      this.#close();
      return this.#atomic(inner);
    }
    const opening = GROUPS.find((group) => rest.startsWith(group));
    if (opening === undefined && rest.startsWith('(?')) this.#refuse(rest.slice(0, 4));
    this.#at += opening?.length ?? 1;
    return `${opening ?? '(?:'}${this.#alternatives()}${this.#close()}`;
  }

  #close(): string {
    return this.#take(')') ? ')' : this.#refuse('an unclosed (');
  }

  /** What matched is not given back: a lookahead matches once. */
  #atomic(inner: string): string {
    const name = `atomic${++this.#numAtomic}`;
    return `(?:(?=(?<${name}>${inner}))\\k<${name}>)`;
  }

  #brackets(): string {
    let result = this.#take('^') ? '[^' : '[';
    // A bracket at the very beginning stands for itself.
    if (this.#take(']')) result += '\\]';
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) this.#refuse('an unclosed [');
      if (this.#peek() === '[' || this.#source.startsWith('&&', this.#at))
        this.#refuse('brackets within brackets, or &&');
      const { set, character: first } = this.#peek() === '\\' ? this.#escape() : { character: this.#next() };
      if (set !== undefined) {
        result += set;
        continue;
      }
      const isRange = this.#peek() === '-' && ![']', undefined].includes(this.#source[this.#at + 1]);
      if (!isRange) {
        result += this.#ignoresCase ? bothCases(first!).map(literal).join('') : literal(first!);
        continue;
      }
      this.#at++;
      const last = this.#peek() === '\\' ? this.#escape().character : this.#next();
      if (last === undefined) this.#refuse('a range that ends in a set');
      result += this.#range(first!, last);
    }
    return `${result}]`;
  }

  #range(first: string, last: string): string {
    const range = (from: string, to: string): string => `${literal(from)}-${literal(to)}`;
    const isLetters = this.#ignoresCase && /^[a-z]{2}$|^[A-Z]{2}$/.test(first + last);
    if (!isLetters) return range(first, last);
    return range(first.toLowerCase(), last.toLowerCase()) + range(first.toUpperCase(), last.toUpperCase());
  }

  /** What a backslash and its letter stand for: a set, as within brackets, or one character. */
  #escape(): { set?: string; character?: string } {
    this.#at++;
    const letter = this.#next();
    if (SETS[letter]) return { set: SETS[letter] };
    if (CONTROLS[letter]) return { set: CONTROLS[letter] };
    if (letter === 'p' || letter === 'P') return { set: this.#property(letter) };
    const [code, digits, wide] = /^(?:([0-9a-fA-F]{2,4})|\{([0-9a-fA-F]+)\})/.exec(this.#source.slice(this.#at)) ?? [];
    if (code !== undefined && (letter === 'x' || letter === 'u')) {
      const used = wide ?? (letter === 'x' ? digits!.slice(0, 2) : digits!);
      this.#at += wide === undefined ? used.length : code.length;
      return { character: String.fromCodePoint(Number.parseInt(used, 16)) };
    }
    if (/[A-Za-z0-9]/.test(letter)) this.#refuse(`\\${letter}`);
    return { character: letter };
  }

  #property(letter: 'p' | 'P'): string {
    const [text, caret, name] = /^\{(\^?)(\w+)\}/.exec(this.#source.slice(this.#at)) ?? this.#refuse(`\\${letter}`);
    this.#at += text!.length;
    const isNegated = (letter === 'P') !== (caret === '^');
    return `\\${isNegated ? 'P' : 'p'}{${SCRIPTS.test(name!) ? `Script=${name}` : name}}`;
  }

  #cased(character: string): string {
    const cases = this.#ignoresCase ? bothCases(character) : [character];
    return cases.length > 1 ? `[${cases.map(literal).join('')}]` : literal(character);
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #next(): string {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at) ?? this.#refuse('an unfinished end'));
    this.#at += character.length;
    return character;
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #refuse(construct: string): never {
    throw new EngineError(
      'model_unsupported',
      `the expression ${this.#source} has ${construct}, which is not supported`,
    );
  }
}

/** Unicode folds two more characters to ASCII letters. */
const bothCases = (character: string): string[] => {
  const cases = new Set([character, character.toLowerCase(), character.toUpperCase()]);
  if (cases.has('s')) cases.add('ſ');
  if (cases.has('k')) cases.add('\u212a');
  return [...cases].filter((text) => Array.from(text).length === 1);
};
