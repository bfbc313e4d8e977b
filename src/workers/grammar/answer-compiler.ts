/** Compiles answers' formats for one vocabulary. */
import type { GrammarCompiler } from '@mlc-ai/web-xgrammar';
import { BYTE_CHARACTERS } from '../tokenizer/byte-alphabet.ts';
import { type AnswerFormat, partsOf, withParts } from './answer-format.ts';
import { CompiledAnswer, type MatcherVocabulary } from './answer-matcher.ts';
import { withApartAlternatives } from './brought-grammar.ts';
import { joinedFormat } from './joined-format.ts';
import type { Compiled } from './matcher.ts';
import { regexAutomaton } from './regex.ts';
import { CompiledRegex } from './regex-matcher.ts';
import { Lengths } from './text-automaton.ts';
import { TokenOrder } from './token-order.ts';
import { loadXGrammar, orRefuse, type XGrammarLibrary } from './xgrammar.ts';

const byteLevel = (bytes: Uint8Array): string => Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join('');

export class AnswerCompiler {
  readonly #library: XGrammarLibrary;
  readonly #compiler: GrammarCompiler;
  readonly #vocabulary: MatcherVocabulary;
  readonly #endTokenIds: readonly number[];

  private constructor(
    library: XGrammarLibrary,
    compiler: GrammarCompiler,
    vocabulary: MatcherVocabulary,
    endTokenIds: readonly number[],
  ) {
    this.#endTokenIds = endTokenIds;
    this.#library = library;
    this.#compiler = compiler;
    this.#vocabulary = vocabulary;
  }

  /**
   * @param texts [vocabularySize] of tokens' bytes; empty: it is part of no text
   * @param endTokenIds without any, an answer ends where nothing can follow
   */
  static async create(texts: readonly Uint8Array[], endTokenIds: readonly number[]): Promise<AnswerCompiler> {
    const library = await loadXGrammar();
    // A token for each byte lets a matcher go on byte by byte.
    const known = [...texts.map(byteLevel), ...BYTE_CHARACTERS];
    const ends = [...endTokenIds];
    const info = await library.TokenizerInfo.createTokenizerInfo(known, 'byte_level', false, known.length, ends);
    const compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
    const order = new TokenOrder(texts);
    return new AnswerCompiler(
      library,
      compiler,
      {
        order,
        lengths: new Lengths(order.longest),
        firstByteId: texts.length,
        endsItself: ends.length === 0,
        compile: (grammar) => compiler.compileGrammar(grammar),
        createMatcher: (grammar, endsItself) =>
          library.GrammarMatcher.createGrammarMatcher(grammar, undefined, endsItself),
      },
      ends,
    );
  }

  /** @throws EngineError invalid_request: the format cannot be compiled */
  async compile(format: AnswerFormat): Promise<Compiled> {
    if (format.type === 'regex') {
      const automaton = regexAutomaton(format.pattern, format.path ?? 'regex');
      return new CompiledRegex(this.#vocabulary.order, this.#endTokenIds, automaton);
    }
    const { format: plain, insets } = joinedFormat(await this.#withApartAlternatives(format));
    const grammar = await orRefuse('the format of the answer', () =>
      plain.type === 'grammar'
        ? this.#compiler.compileGrammar(plain.grammar as string)
        : this.#compiler.compileStructuralTag({ type: 'structural_tag', format: plain } as never),
    );
    return new CompiledAnswer(this.#vocabulary, grammar, insets);
  }

  /** By itself, a grammar that a request brought has an error of its own. */
  async #withApartAlternatives(format: AnswerFormat): Promise<AnswerFormat> {
    const apart = new Map<string, string>();
    for (const { grammar, path } of broughtGrammars(format)) {
      const parsed = await orRefuse(path, () => this.#library.Grammar.fromEBNF(grammar), path);
      apart.set(grammar, withApartAlternatives(parsed.toString()) ?? grammar);
      parsed.dispose();
    }
    return apart.size === 0 ? format : withGrammars(format, apart);
  }
}

const withGrammars = (format: AnswerFormat, texts: ReadonlyMap<string, string>): AnswerFormat =>
  format.type === 'grammar'
    ? { ...format, grammar: texts.get(format.grammar) ?? format.grammar }
    : withParts(format, (part) => withGrammars(part, texts));

/** Grammars that a request wrote itself. */
const broughtGrammars = (format: AnswerFormat): readonly { grammar: string; path: string }[] => {
  if (format.type === 'grammar')
    return format.path === undefined ? [] : [{ grammar: format.grammar, path: format.path }];
  return partsOf(format).flatMap(broughtGrammars);
};
