/** Follows one answer: the library's matcher over a grammar, and a judge of the inset that the answer is in. */
import type { CompiledGrammar, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import { type Judge, StringJudges } from './inset-judges.ts';
import { type Inset, type Insets, MARK, NO_MARK, readMarker } from './insets.ts';
import type { Compiled, Matcher } from './matcher.ts';
import { ObjectJudge } from './object-judge.ts';
import type { Lengths } from './text-automaton.ts';
import { type Opening, opens, type TokenOrder } from './token-order.ts';

/** What the answers of a vocabulary share. */
export interface MatcherVocabulary {
  readonly order: TokenOrder;
  /** The library's id of the token that is byte 0: a token for each byte comes behind the vocabulary. */
  readonly firstByteId: number;
  readonly lengths: Lengths;
  /** No token says that an answer is over. */
  readonly endsItself: boolean;
  compile(grammar: string): Promise<CompiledGrammar>;
  createMatcher(grammar: CompiledGrammar, endsItself: boolean): Promise<GrammarMatcher>;
}

/** A format, compiled, and what its answers share. To be disposed of. */
export class CompiledAnswer implements Compiled {
  readonly grammar: CompiledGrammar;
  readonly insets: Insets;
  readonly #vocabulary: MatcherVocabulary;
  readonly #strings: StringJudges;
  readonly #objects = new Map<Inset, CompiledAnswer>();
  readonly #refused = new Map<string, readonly number[]>();

  constructor(vocabulary: MatcherVocabulary, grammar: CompiledGrammar, insets: Insets) {
    this.grammar = grammar;
    this.insets = insets;
    this.#vocabulary = vocabulary;
    this.#strings = new StringJudges(vocabulary.order, vocabulary.lengths);
  }

  /** @param endsItself whether the matcher is over where the answer may end; absent: as the vocabulary has it */
  async createMatcher(endsItself = this.#vocabulary.endsItself): Promise<AnswerMatcher> {
    const matcher = await this.#vocabulary.createMatcher(this.grammar, endsItself);
    return new AnswerMatcher(this.#vocabulary, this, matcher);
  }

  /** A judge at an inset's begin, behind its first byte. */
  async judge(number: number): Promise<Judge> {
    const inset = this.insets.at(number);
    if (inset.kind !== 'object') return this.#strings.begin(inset);
    const compiled =
      this.#objects.get(inset) ??
      new CompiledAnswer(this.#vocabulary, await this.#vocabulary.compile(inset.grammar), inset.insets);
    this.#objects.set(inset, compiled);
    return ObjectJudge.begin(await compiled.createMatcher(false));
  }

  /** Tokens that begin with an opening and go on as its inset does not. */
  async refused(number: number, opening: Opening): Promise<readonly number[]> {
    const key = `${number} ${opening.index}`;
    const known = this.#refused.get(key);
    if (known) return known;
    const judge = await this.judge(number);
    const refused: number[] = [];
    for (const { id, rest } of opening.tokens) if (!(await judge.takes(rest))) refused.push(id);
    judge.dispose();
    this.#refused.set(key, refused);
    return refused;
  }

  dispose(): void {
    this.grammar.dispose();
    for (const compiled of this.#objects.values()) compiled.dispose();
  }
}

class AnswerMatcher implements Matcher {
  readonly #vocabulary: MatcherVocabulary;
  readonly #compiled: CompiledAnswer;
  readonly #matcher: GrammarMatcher;
  #judge: Judge | undefined;

  constructor(vocabulary: MatcherVocabulary, compiled: CompiledAnswer, matcher: GrammarMatcher) {
    this.#vocabulary = vocabulary;
    this.#compiled = compiled;
    this.#matcher = matcher;
  }

  /** Goes on by a token. False: it is not allowed, and the matcher is of no more use. */
  async acceptToken(tokenId: number): Promise<boolean> {
    const bytes = this.#vocabulary.order.bytesOf(tokenId);
    if (this.#compiled.insets.size === 0 || bytes.length === 0) return this.#matcher.acceptToken(tokenId);
    return (await this.acceptBytes(bytes)) === bytes.length;
  }

  /** Goes on by bytes, as far as they are allowed. Returns how many the grammar took. */
  async acceptBytes(bytes: Uint8Array): Promise<number> {
    for (const [i, byte] of bytes.entries()) {
      if (!this.#take(byte)) return i;
      if (this.#judge) {
        if (!(await this.#judge.accept(byte))) return i;
        if (this.#judge.isOver) this.#leave();
      } else if (opens(byte)) {
        const number = this.#insetHere();
        if (number !== undefined) this.#judge = await this.#compiled.judge(number);
      }
    }
    return bytes.length;
  }

  /** Whether a token may come next; goes nowhere. */
  async allows(tokenId: number): Promise<boolean> {
    const bytes = this.#vocabulary.order.bytesOf(tokenId);
    if (this.#compiled.insets.size > 0 && bytes.length > 0) return this.takes(bytes);
    const isAllowed = this.#matcher.acceptToken(tokenId);
    if (isAllowed) this.#matcher.rollBack(1);
    return isAllowed;
  }

  /** Whether bytes may come next; goes nowhere. */
  async takes(bytes: Uint8Array): Promise<boolean> {
    if (this.#judge && !(await this.#judge.takes(bytes))) return false;
    const begun: { number: number; rest: Uint8Array }[] = [];
    const isTaken = this.#try((takes) =>
      bytes.every((byte, i) => {
        if (!takes(byte)) return false;
        const rest = bytes.subarray(i + 1);
        const number = opens(byte) && rest.length > 0 ? this.#insetHere() : undefined;
        if (number !== undefined) begun.push({ number, rest });
        return true;
      }),
    );
    for (const { number, rest } of isTaken ? begun : []) {
      const judge = await this.#compiled.judge(number);
      const isFitting = await judge.takes(rest);
      judge.dispose();
      if (!isFitting) return false;
    }
    return isTaken;
  }

  /** The mask of the tokens that may follow, of the caller's own. */
  async nextTokenMask(): Promise<Int32Array<ArrayBuffer>> {
    const { numWords } = this.#vocabulary.order;
    const whole = (await this.#matcher.getNextTokenBitmask()) as Int32Array<ArrayBuffer>;
    const mask = whole.slice(0, numWords);
    const numLast = this.#vocabulary.firstByteId & 31;
    // Behind the vocabulary come the bytes.
    if (numLast !== 0) mask[numWords - 1]! &= (1 << numLast) - 1;
    if (this.#compiled.insets.size === 0) return mask;
    await this.#judge?.restrict(mask);
    await this.#forbidOpenings(mask);
    return mask;
  }

  /** What comes next without an alternative. */
  forcedText(): string {
    return this.#judge ? this.#judge.forcedText() : this.#matcher.findJumpForwardString();
  }

  isTerminated(): boolean {
    return this.#matcher.isTerminated();
  }

  dispose(): void {
    this.#matcher.dispose();
    this.#leave();
  }

  #leave(): void {
    this.#judge?.dispose();
    this.#judge = undefined;
  }

  #take(byte: number): boolean {
    return this.#matcher.acceptToken(this.#vocabulary.firstByteId + byte);
  }

  /** Runs what takes bytes, and goes back. */
  #try<Value>(run: (takes: (byte: number) => boolean) => Value): Value {
    let numTaken = 0;
    const found = run((byte) => {
      const isTaken = this.#take(byte);
      if (isTaken) numTaken++;
      return isTaken;
    });
    if (numTaken > 0) this.#matcher.rollBack(numTaken);
    return found;
  }

  /** The number of the inset that begins here. */
  #insetHere(): number | undefined {
    return this.#try(readMarker);
  }

  /** Tokens in which an inset begins that does not go on as they do. */
  async #forbidOpenings(mask: Int32Array): Promise<void> {
    // In free text, no inset begins before what triggers it.
    if (this.#try((takes) => takes(MARK) && takes(NO_MARK))) return;
    const isIn = (id: number): boolean => (mask[id >> 5]! & (1 << (id & 31))) !== 0;
    for (const opening of this.#vocabulary.order.openings) {
      if (!opening.tokens.some(({ id }) => isIn(id))) continue;
      const number = this.#try((takes) => (opening.prefix.every(takes) ? readMarker(takes) : undefined));
      if (number === undefined) continue;
      for (const id of await this.#compiled.refused(number, opening)) mask[id >> 5]! &= ~(1 << (id & 31));
    }
  }
}
