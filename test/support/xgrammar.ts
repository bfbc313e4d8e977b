/** Grammars over a small vocabulary: what a format of ours really lets through. */
import type { RandomNumber } from '../../bench/seeded-numbers.ts';
import { AnswerCompiler } from '../../src/workers/grammar/answer-compiler.ts';
import type { AnswerFormat } from '../../src/workers/grammar/answer-format.ts';
import type { Compiled } from '../../src/workers/grammar/matcher.ts';

/** Tokens of several bytes, so that masks must look across the borders of rules. */
const LONG_TOKENS = [
  '{"',
  '": ',
  '":"',
  '",',
  '", "',
  '"}',
  '"]',
  '},',
  '[1',
  ', ',
  '12',
  '00',
  '.5',
  'ab',
  'the',
  ' a',
  '\\"',
  '\\n',
  'é',
  '日本',
  '"a',
  ' "ab',
  'a"',
  '","a',
  '":"x',
  '{"a":"',
  '{}',
  '"}}',
  'a\\\\"',
];
const END = 256 + LONG_TOKENS.length;
const VOCABULARY = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...LONG_TOKENS.map((text) => new TextEncoder().encode(text)),
  new Uint8Array(),
];

let compiler: Promise<AnswerCompiler> | undefined;
const smallCompiler = (): Promise<AnswerCompiler> => {
  compiler ??= AnswerCompiler.create(VOCABULARY, [END]);
  return compiler;
};

/** Characters that bring a text to its end sooner. */
const CLOSING = new Set([...'"}]'].map((character) => character.charCodeAt(0)));

const pick = (allowed: readonly number[], random: RandomNumber, isLong: boolean): number => {
  if (isLong && allowed.includes(END)) return END;
  const closing = isLong ? allowed.filter((token) => token < 256 && CLOSING.has(token)) : [];
  if (closing.length > 0 && random() < 0.9) return closing[Math.floor(random() * closing.length)] as number;
  // Bytes and white space would be most of everything; one kind of token is chosen first.
  const kinds = [
    allowed.filter((token) => token === END),
    allowed.filter((token) => token < 128 && token > 32),
    allowed.filter((token) => token >= 128 && token < 256),
    allowed.filter((token) => token >= 256 && token !== END),
    allowed.filter((token) => token <= 32),
  ].filter((kind) => kind.length > 0);
  const weights = kinds.map((kind) => ((kind[0] as number) < 128 && (kind[0] as number) > 32 ? 4 : 1));
  let at = random() * weights.reduce((a, b) => a + b, 0);
  const chosen =
    kinds.find((_, i) => {
      at -= weights[i] as number;
      return at < 0;
    }) ?? (kinds[0] as number[]);
  return chosen[Math.floor(random() * chosen.length)] as number;
};

/** A format, compiled for a vocabulary of all bytes and some longer tokens. */
export class TestGrammar {
  readonly #compiled: Compiled;

  private constructor(compiled: Compiled) {
    this.#compiled = compiled;
  }

  static async compile(ebnf: string): Promise<TestGrammar> {
    return TestGrammar.compileFormat({ type: 'grammar', grammar: ebnf });
  }

  static async compileFormat(format: AnswerFormat): Promise<TestGrammar> {
    return new TestGrammar(await (await smallCompiler()).compile(format));
  }

  /**
   * Decodes under the grammar's masks with random choices. Undefined: no end within `maxTokens`.
   * @throws Error when the grammar allows no next token
   */
  async sentence(random: RandomNumber, maxTokens = 600): Promise<string | undefined> {
    const matcher = await this.#compiled.createMatcher();
    const bytes: Uint8Array[] = [];
    try {
      for (let i = 0; i < maxTokens; i++) {
        const mask = await matcher.nextTokenMask();
        const allowed = VOCABULARY.flatMap((_, token) =>
          ((mask[token >> 5] as number) >>> (token & 31)) & 1 ? [token] : [],
        );
        if (allowed.length === 0) throw new Error(`no token may follow ${Buffer.concat(bytes)}`);
        const token = pick(allowed, random, i > 60);
        if (!(await matcher.acceptToken(token)))
          throw new Error(`the mask allowed token ${token}, the matcher did not`);
        if (token === END) return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(bytes));
        bytes.push(VOCABULARY[token] as Uint8Array);
      }
      return undefined;
    } finally {
      matcher.dispose();
    }
  }

  /** Whether the text is a sentence of the grammar: byte for byte, and in long tokens, by the masks and by the matcher. */
  async accepts(text: string): Promise<boolean> {
    const bytes = Buffer.from(text);
    const [inBytes, inTokens] = [await this.#accepts([...bytes]), await this.#accepts(longTokens(bytes))];
    if (inBytes !== inTokens) throw new Error(`${text.slice(0, 200)}: ${inBytes} in bytes, ${inTokens} in long tokens`);
    return inBytes;
  }

  async #accepts(tokens: readonly number[]): Promise<boolean> {
    const matcher = await this.#compiled.createMatcher();
    try {
      for (const token of [...tokens, END]) {
        const mask = tokens.length > 500 ? undefined : await matcher.nextTokenMask();
        const isIn = mask && (mask[token >> 5]! & (1 << (token & 31))) !== 0;
        const isTaken = await matcher.acceptToken(token);
        if (isIn !== undefined && isIn !== isTaken)
          throw new Error(`token ${token}: ${isIn} in the mask, ${isTaken} by the matcher`);
        if (!isTaken) return false;
      }
      return true;
    } finally {
      matcher.dispose();
    }
  }

  /** What comes next without an alternative behind a text that is allowed. */
  async forcedText(before: string): Promise<string> {
    const matcher = await this.#compiled.createMatcher();
    try {
      for (const byte of Buffer.from(before)) {
        if (!(await matcher.acceptToken(byte))) throw new Error(`${before} is not allowed`);
      }
      return matcher.forcedText();
    } finally {
      matcher.dispose();
    }
  }

  dispose(): void {
    this.#compiled.dispose();
  }
}

/** A text in the longest tokens that come next. */
const longTokens = (bytes: Buffer): number[] => {
  const tokens: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const fitting = VOCABULARY.flatMap((token, id) =>
      token.length > 0 && bytes.subarray(at, at + token.length).equals(token) ? [id] : [],
    );
    const longest = fitting.reduce((a, b) => (VOCABULARY[b]!.length > VOCABULARY[a]!.length ? b : a));
    tokens.push(longest);
    at += VOCABULARY[longest]!.length;
  }
  return tokens;
};
