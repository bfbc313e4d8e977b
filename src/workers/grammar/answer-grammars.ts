/** Follows answers through their grammars: one matcher a sequence, all in one thread, since a matcher cannot move. */
import { EngineError } from '../../runtime/errors.ts';
import type { TokenizerDefinition } from '../tokenizer/definition.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { AnswerCompiler } from './answer-compiler.ts';
import type { Allowed, AllowedTokens, AnswerFormat } from './answer-format.ts';
import { MarkerTexts } from './marker-texts.ts';
import type { Compiled as CompiledFormat, Matcher } from './matcher.ts';

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
  readonly answers: CompiledFormat;
  /** What its slow masks took. */
  slowMs: number;
}

interface Answer {
  readonly matcher: Matcher;
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
  readonly #compiler: AnswerCompiler;
  readonly #tokenizer: Tokenizer;
  readonly #endTokenIds: readonly number[];
  /** Every token that is text. */
  readonly #freeMask: Int32Array;
  readonly #markers: MarkerTexts;
  readonly #maxSlowMs: number;
  /** Least recently used first. */
  readonly #compiled = new Map<string, Compiled>();
  readonly #answers = new Map<number, Answer>();

  private constructor(vocabulary: Vocabulary, compiler: AnswerCompiler) {
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
    const markerTexts = new MarkerTexts(markers);
    const ends = new Set(definition.endTokenIds);
    const freeMask = new Int32Array(Math.ceil(vocabularySize / 32));
    const texts = Array.from({ length: vocabularySize }, (_, id) => {
      const bytes = tokenizer.bytesOf(id);
      const marker = markerTexts.hiddenToken(Buffer.from(bytes).toString('utf8'));
      const isHidden = tokenizer.isControl(id) && marker === undefined;
      if (bytes.length === 0 || isHidden || ends.has(id)) return new Uint8Array();
      freeMask[id >> 5]! |= 1 << (id & 31);
      return marker === undefined ? bytes : Buffer.from(marker);
    });
    const vocabulary = { tokenizer, endTokenIds: [...ends], freeMask, markers: markerTexts, maxSlowMs };
    return new AnswerGrammars(vocabulary, await AnswerCompiler.create(texts, [...ends]));
  }

  /**
   * Begins an answer under a name of the caller's.
   * @throws EngineError invalid_request: the format cannot be compiled
   */
  async open(id: number, format: AnswerFormat, { jumps }: OpenOptions): Promise<Allowed> {
    const compiled = await this.#compile(JSON.stringify(format), format);
    const answer = { matcher: await compiled.answers.createMatcher(), compiled, jumps };
    this.#answers.set(id, answer);
    return this.#allowed(answer);
  }

  /** Goes on by the tokens that were chosen. @throws EngineError internal: they are not allowed, or there is no such answer */
  async advance(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    const answer = this.#answer(id);
    // Tokens that are no text, as between two texts that are free, move nothing.
    await accept(
      answer,
      tokenIds.filter((tokenId) => this.#isKnown(tokenId)),
    );
    return this.#allowed(answer);
  }

  /** Those of the tokens that may come next. @throws EngineError internal: there is no such answer */
  async among(id: number, tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>> {
    const { matcher } = this.#answer(id);
    const allowed = new Set<number>();
    for (const tokenId of Array.from(tokenIds)) {
      if (this.#isKnown(tokenId) && (await matcher.allows(tokenId))) allowed.add(tokenId);
    }
    return allowed;
  }

  /** Whatever may come next, however long it takes. @throws EngineError internal: there is no such answer */
  async tokens(id: number): Promise<AllowedTokens> {
    return this.#tokens(await this.#answer(id).matcher.nextTokenMask());
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
    const compiled = known ?? {
      answers: await this.#compiler.compile(this.#markers.hiddenFormat(format)),
      slowMs: 0,
    };
    this.#compiled.set(key, compiled);
    this.#forgetCompiled();
    return compiled;
  }

  #forgetCompiled(): void {
    const used = new Set([...this.#answers.values()].map(({ compiled }) => compiled));
    for (const [key, compiled] of this.#compiled) {
      if (this.#compiled.size <= MAX_COMPILED) return;
      // A matcher may outlive its grammar's handle, but not be made from it again: the newest is about to be used.
      if (used.has(compiled) || key === [...this.#compiled.keys()].at(-1)) continue;
      compiled.answers.dispose();
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
      await accept(answer, next);
    }
  }

  /** The next tokens' mask; undefined where they take long to work out. */
  async #quickMask(answer: Answer): Promise<Int32Array<ArrayBuffer> | undefined> {
    const { compiled } = answer;
    if (compiled.slowMs > this.#maxSlowMs) return undefined;
    const startMs = performance.now();
    const mask = await answer.matcher.nextTokenMask();
    const ms = performance.now() - startMs;
    if (ms > SLOW_MASK_MS) compiled.slowMs += ms;
    return mask;
  }

  /** What has no alternative: a single allowed token, or a text, which is written as the tokenizer would. */
  #forced({ matcher, jumps }: Answer, mask: Int32Array | undefined): readonly number[] {
    if (!jumps) return [];
    const only = mask && onlyToken(mask, this.#endTokenIds);
    if (only !== undefined) return [only];
    const text = this.#markers.shown(matcher.forcedText());
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
    return { mayEnd, ...(isFree ? {} : { mask }) };
  }
}

/** @throws EngineError internal */
const accept = async ({ matcher }: Answer, tokenIds: readonly number[]): Promise<void> => {
  for (const tokenId of tokenIds) {
    if (await matcher.acceptToken(tokenId)) continue;
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
