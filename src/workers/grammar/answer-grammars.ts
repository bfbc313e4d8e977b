/** Follows answers through their grammars: one matcher a sequence, all in one thread, since a matcher cannot move. */
import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import { EngineError } from '../../runtime/errors.ts';
import { BYTE_CHARACTERS } from '../tokenizer/byte-alphabet.ts';
import type { TokenizerDefinition } from '../tokenizer/definition.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Allowed, AllowedTokens, AnswerFormat } from './answer-format.ts';
import { joinedFormat } from './joined-format.ts';
import { MarkerTexts } from './marker-texts.ts';
import { loadXGrammar, orRefuse, type XGrammarLibrary } from './xgrammar.ts';

export interface OpenOptions {
  /** What has no alternative is given at once. False: token by token, chosen by the model. */
  readonly jumps: boolean;
}

/** Compiled grammars that are kept; one of a large vocabulary has some megabytes. */
const MAX_COMPILED = 64;
/** Bounds what one answer gets without a look at the clock. */
const MAX_FORCED_TOKENS = 256;
/** Masks that take longer are slow. */
const SLOW_MASK_MS = 4;
const MAX_SLOW_MS = 20;

interface Vocabulary {
  readonly tokenizer: Tokenizer;
  readonly endTokenIds: readonly number[];
  readonly freeMask: Int32Array;
  readonly markers: MarkerTexts;
  readonly maxSlowMs: number;
}

interface Compiled {
  readonly grammar: CompiledGrammar;
  /** What its slow masks took. */
  slowMs: number;
}

interface Answer {
  readonly matcher: GrammarMatcher;
  readonly compiled: Compiled;
  readonly jumps: boolean;
}

export interface AnswerGrammarsOptions {
  /** Texts of control tokens that formats are made of: as such tokens they may be part of an answer. */
  readonly markers: readonly string[];
  /** Masks that take long keep the device waiting: a grammar that took so much time for them gives none unless asked. */
  readonly maxSlowMs?: number;
}

export class AnswerGrammars {
  readonly #library: XGrammarLibrary;
  readonly #compiler: GrammarCompiler;
  readonly #tokenizer: Tokenizer;
  readonly #endTokenIds: readonly number[];
  /** Every token that is text. */
  readonly #freeMask: Int32Array;
  readonly #markers: MarkerTexts;
  readonly #maxSlowMs: number;
  /** Least recently used first. */
  readonly #compiled = new Map<string, Compiled>();
  readonly #answers = new Map<number, Answer>();

  private constructor(vocabulary: Vocabulary, library: XGrammarLibrary, compiler: GrammarCompiler) {
    this.#library = library;
    this.#compiler = compiler;
    this.#tokenizer = vocabulary.tokenizer;
    this.#endTokenIds = vocabulary.endTokenIds;
    this.#freeMask = vocabulary.freeMask;
    this.#markers = vocabulary.markers;
    this.#maxSlowMs = vocabulary.maxSlowMs;
  }

  /** @param vocabularySize length of a row of logits */
  static async create(
    definition: TokenizerDefinition,
    tokenizer: Tokenizer,
    vocabularySize: number,
    { markers, maxSlowMs = MAX_SLOW_MS }: AnswerGrammarsOptions,
  ): Promise<AnswerGrammars> {
    const library = await loadXGrammar();
    const markerTexts = new MarkerTexts(markers);
    const ends = new Set(definition.endTokenIds);
    const freeMask = new Int32Array(Math.ceil(vocabularySize / 32));
    const texts = Array.from({ length: vocabularySize }, (_, id) => {
      const bytes = tokenizer.bytesOf(id);
      const marker = markerTexts.hiddenToken(Buffer.from(bytes).toString('utf8'));
      const isHidden = tokenizer.isControl(id) && marker === undefined;
      if (bytes.length === 0 || isHidden || ends.has(id)) return '';
      freeMask[id >> 5]! |= 1 << (id & 31);
      return Array.from(marker === undefined ? bytes : Buffer.from(marker), (byte) => BYTE_CHARACTERS[byte]).join('');
    });
    const info = await library.TokenizerInfo.createTokenizerInfo(texts, 'byte_level', false, vocabularySize, [...ends]);
    const compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
    const vocabulary = { tokenizer, endTokenIds: [...ends], freeMask, markers: markerTexts, maxSlowMs };
    return new AnswerGrammars(vocabulary, library, compiler);
  }

  /**
   * Begins an answer under a name of the caller's.
   * @throws EngineError invalid_request: the format cannot be compiled
   */
  async open(id: number, format: AnswerFormat, { jumps }: OpenOptions): Promise<Allowed> {
    const compiled = await this.#compile(JSON.stringify(format), format);
    const endsItself = this.#endTokenIds.length === 0;
    const matcher = await this.#library.GrammarMatcher.createGrammarMatcher(compiled.grammar, undefined, endsItself);
    const answer = { matcher, compiled, jumps };
    this.#answers.set(id, answer);
    return this.#allowed(answer);
  }

  /** Goes on by the tokens that were chosen. @throws EngineError internal: they are not allowed, or there is no such answer */
  async advance(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    const answer = this.#answer(id);
    // Tokens that are no text, as between two texts that are free, move nothing.
    accept(
      answer,
      tokenIds.filter((tokenId) => this.#isKnown(tokenId)),
    );
    return this.#allowed(answer);
  }

  /** Those of the tokens that may come next. @throws EngineError internal: there is no such answer */
  among(id: number, tokenIds: ArrayLike<number>): ReadonlySet<number> {
    const { matcher } = this.#answer(id);
    const isAllowed = (tokenId: number): boolean => {
      if (!this.#isKnown(tokenId) || !matcher.acceptToken(tokenId)) return false;
      matcher.rollBack(1);
      return true;
    };
    return new Set(Array.from(tokenIds).filter(isAllowed));
  }

  /** Whatever may come next, however long it takes. @throws EngineError internal: there is no such answer */
  async tokens(id: number): Promise<AllowedTokens> {
    return this.#tokens(await maskOf(this.#answer(id)));
  }

  #answer(id: number): Answer {
    const answer = this.#answers.get(id);
    if (answer === undefined) throw new EngineError('internal', 'the grammar of this answer was lost; send it again');
    return answer;
  }

  #isKnown(tokenId: number): boolean {
    return (this.#freeMask[tokenId >> 5]! & (1 << (tokenId & 31))) !== 0 || this.#endTokenIds.includes(tokenId);
  }

  /** Forgets an answer. Twice does nothing. */
  close(id: number): void {
    this.#answers.get(id)?.matcher.dispose();
    this.#answers.delete(id);
  }

  async #compile(key: string, format: AnswerFormat): Promise<Compiled> {
    const known = this.#compiled.get(key);
    this.#compiled.delete(key);
    const compiled = known ?? { grammar: await this.#compileNew(format), slowMs: 0 };
    this.#compiled.set(key, compiled);
    this.#forgetCompiled();
    return compiled;
  }

  async #compileNew(format: AnswerFormat): Promise<CompiledGrammar> {
    const plain = joinedFormat(this.#markers.hiddenFormat(format));
    // By itself, what a request brought has an error of its own.
    for (const { grammar, path } of broughtGrammars(format)) {
      (await orRefuse(path, () => this.#library.Grammar.fromEBNF(grammar), path)).dispose();
    }
    return orRefuse('the format of the answer', () =>
      this.#compiler.compileStructuralTag({ type: 'structural_tag', format: plain } as never),
    );
  }

  #forgetCompiled(): void {
    const used = new Set([...this.#answers.values()].map(({ compiled }) => compiled));
    for (const [key, compiled] of this.#compiled) {
      if (this.#compiled.size <= MAX_COMPILED) return;
      // A matcher may outlive its grammar's handle, but not be made from it again: the newest is about to be used.
      if (used.has(compiled) || key === [...this.#compiled.keys()].at(-1)) continue;
      compiled.grammar.dispose();
      this.#compiled.delete(key);
    }
  }

  async #allowed(answer: Answer): Promise<Allowed> {
    const forced: number[] = [];
    const said = (rest: Allowed): Allowed => (forced.length > 0 ? { forced, ...rest } : rest);
    for (;;) {
      if (answer.matcher.isTerminated()) return said({ isOver: true });
      const mask = await this.#quickMask(answer);
      const next = this.#forced(answer, mask);
      const room = MAX_FORCED_TOKENS - forced.length;
      if (next.length === 0 || next.length > room)
        return said(mask === undefined ? {} : { tokens: this.#tokens(mask) });
      forced.push(...next);
      if (this.#endTokenIds.includes(next.at(-1)!)) return said({ isOver: true });
      accept(answer, next);
    }
  }

  /** The next tokens' mask; undefined where they take long to work out. */
  async #quickMask(answer: Answer): Promise<Int32Array<ArrayBuffer> | undefined> {
    const { compiled } = answer;
    if (compiled.slowMs > this.#maxSlowMs) return undefined;
    const startMs = performance.now();
    const mask = await maskOf(answer);
    const ms = performance.now() - startMs;
    if (ms > SLOW_MASK_MS) compiled.slowMs += ms;
    return mask;
  }

  /** What has no alternative: a single allowed token, or a text, which is written as the tokenizer would. */
  #forced({ matcher, jumps }: Answer, mask: Int32Array | undefined): readonly number[] {
    if (!jumps) return [];
    const only = mask && onlyToken(mask, this.#endTokenIds);
    if (only !== undefined) return [only];
    const text = this.#markers.shown(matcher.findJumpForwardString());
    if (text.length < 2) return [];
    // Formats are told apart by such tokens, not by their texts.
    const tokenIds = this.#tokenizer.encode(text, { parseSpecial: this.#markers.isIn(text) });
    const written = Buffer.concat(Array.from(tokenIds, (id) => this.#tokenizer.bytesOf(id))).toString('utf8');
    if (written !== text) return [];
    // The last token may go on into what follows, so the model chooses it, unless it is no text to go on.
    return [...tokenIds.subarray(0, this.#tokenizer.isControl(tokenIds.at(-1)!) ? undefined : -1)];
  }

  #tokens(mask: Int32Array<ArrayBuffer>): AllowedTokens {
    const mayEnd = this.#endTokenIds.some((id) => (mask[id >> 5]! & (1 << (id & 31))) !== 0);
    const isFree = this.#freeMask.every((word, index) => (mask[index]! & word) === word);
    // A copy: the library may hand out a view of its own memory.
    return { mayEnd, ...(isFree ? {} : { mask: mask.slice() }) };
  }
}

const maskOf = async ({ matcher }: Answer): Promise<Int32Array<ArrayBuffer>> =>
  (await matcher.getNextTokenBitmask()) as Int32Array<ArrayBuffer>;

/** @throws EngineError internal */
const accept = ({ matcher }: Answer, tokenIds: readonly number[]): void => {
  for (const tokenId of tokenIds) {
    if (matcher.acceptToken(tokenId)) continue;
    throw new EngineError('internal', `token ${tokenId} was chosen, which the answer's grammar does not allow`);
  }
};

/** The one allowed token; where only ends of the turn are, the first of them. */
const onlyToken = (mask: Int32Array, endTokenIds: readonly number[]): number | undefined => {
  let only: number | undefined;
  let numAllowed = 0;
  let numEnds = 0;
  for (const [index, word] of mask.entries()) {
    for (let rest = word; rest !== 0; rest &= rest - 1) {
      const id = index * 32 + (31 - Math.clz32(rest & -rest));
      numAllowed++;
      if (endTokenIds.includes(id)) numEnds++;
      only ??= id;
      if (numAllowed > 1 && numEnds < numAllowed) return undefined;
    }
  }
  return only;
};

/** Grammars that a request wrote itself. */
const broughtGrammars = (format: AnswerFormat): readonly { grammar: string; path: string }[] => {
  if (format.type === 'grammar')
    return format.path === undefined ? [] : [{ grammar: format.grammar, path: format.path }];
  return Object.values(mapParts(format, broughtGrammars)).flat(2);
};

/** What `map` makes of the formats that a format is made of, under the fields that hold them. */
const mapParts = <Value>(format: AnswerFormat, map: (part: AnswerFormat) => Value): Record<string, Value | Value[]> => {
  if ('elements' in format) return { elements: format.elements.map(map) };
  if ('tags' in format) return { tags: format.tags.map(map) };
  return 'content' in format ? { content: map(format.content) } : {};
};
