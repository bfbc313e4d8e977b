/** xgrammar's own parser and matcher over a small vocabulary: what a grammar of ours really lets through. */
import type * as xgrammar from '@mlc-ai/web-xgrammar';
import { loadXGrammar } from '../../src/workers/grammar/xgrammar.ts';
import { BYTE_CHARACTERS } from '../../src/workers/tokenizer/byte-alphabet.ts';

const engine = await loadXGrammar();

export const byteLevel = (text: string): string => [...Buffer.from(text)].map((byte) => BYTE_CHARACTERS[byte]).join('');

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
];
const VOCABULARY = [...BYTE_CHARACTERS, ...LONG_TOKENS.map(byteLevel), '<end>'];
const END = VOCABULARY.length - 1;
const bytesOf = (token: number): Buffer =>
  token < 256 ? Buffer.from([token]) : Buffer.from(LONG_TOKENS[token - 256] as string);

let compiler: Promise<xgrammar.GrammarCompiler> | undefined;
const smallCompiler = (): Promise<xgrammar.GrammarCompiler> => {
  compiler ??= engine.TokenizerInfo.createTokenizerInfo(VOCABULARY, 'byte_level', false, VOCABULARY.length, [END]).then(
    (tokenizer) => engine.GrammarCompiler.createGrammarCompiler(tokenizer, false),
  );
  return compiler;
};

/** Uniform numbers below 1. */
export type RandomNumber = () => number;

/** A repeatable generator. Source: mulberry32. */
export const seededNumbers = (seed: number): RandomNumber => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
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

/** A grammar of xgrammar's, compiled for a vocabulary of all bytes and some longer tokens. */
export class TestGrammar {
  readonly #grammar: xgrammar.CompiledGrammar;

  private constructor(grammar: xgrammar.CompiledGrammar) {
    this.#grammar = grammar;
  }

  static async compile(ebnf: string): Promise<TestGrammar> {
    return new TestGrammar(await (await smallCompiler()).compileGrammar(ebnf));
  }

  /** Compiles a structural tag. */
  static async compileFormat(format: unknown): Promise<TestGrammar> {
    const tag = { type: 'structural_tag', format } as never;
    return new TestGrammar(await (await smallCompiler()).compileStructuralTag(tag));
  }

  /**
   * Decodes under the grammar's masks with random choices. Undefined: no end within `maxTokens`.
   * @throws Error when the grammar allows no next token
   */
  async sentence(random: RandomNumber, maxTokens = 600): Promise<string | undefined> {
    const matcher = await engine.GrammarMatcher.createGrammarMatcher(this.#grammar);
    const bytes: Buffer[] = [];
    try {
      for (let i = 0; i < maxTokens; i++) {
        const mask = await matcher.getNextTokenBitmask();
        const allowed = VOCABULARY.flatMap((_, token) =>
          ((mask[token >> 5] as number) >>> (token & 31)) & 1 ? [token] : [],
        );
        if (allowed.length === 0) throw new Error(`no token may follow ${Buffer.concat(bytes)}`);
        const token = pick(allowed, random, i > 60);
        if (!matcher.acceptToken(token)) throw new Error(`the mask allowed token ${token}, the matcher did not`);
        if (token === END) return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(bytes));
        bytes.push(bytesOf(token));
      }
      return undefined;
    } finally {
      matcher.dispose();
    }
  }

  /** Whether the text is a sentence of the grammar, byte for byte. */
  async accepts(text: string): Promise<boolean> {
    const matcher = await engine.GrammarMatcher.createGrammarMatcher(this.#grammar);
    try {
      return Buffer.from(text).every((byte) => matcher.acceptToken(byte)) && matcher.acceptToken(END);
    } finally {
      matcher.dispose();
    }
  }

  dispose(): void {
    this.#grammar.dispose();
  }
}
