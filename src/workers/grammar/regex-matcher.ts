/** Follows answers that are a regular expression from end to end: nothing is compiled, masks are made when they are needed. */
import type { Automaton } from './automaton.ts';
import type { Compiled, Matcher } from './matcher.ts';
import { DEAD, type TextAutomaton, textsOf } from './text-automaton.ts';
import type { TokenOrder } from './token-order.ts';

export class CompiledRegex implements Compiled {
  readonly order: TokenOrder;
  /** Without any, an answer is over where it may end. */
  readonly endTokenIds: readonly number[];
  readonly automaton: Automaton;
  readonly texts: TextAutomaton;

  constructor(order: TokenOrder, endTokenIds: readonly number[], automaton: Automaton) {
    this.order = order;
    this.endTokenIds = endTokenIds;
    this.automaton = automaton;
    this.texts = textsOf(automaton, 'plain');
  }

  async createMatcher(): Promise<Matcher> {
    return new RegexMatcher(this);
  }

  dispose(): void {}
}

class RegexMatcher implements Matcher {
  readonly #compiled: CompiledRegex;
  #state: number;
  #isEnded = false;

  constructor(compiled: CompiledRegex) {
    this.#compiled = compiled;
    this.#state = compiled.texts.stateAt(0);
  }

  async acceptToken(tokenId: number): Promise<boolean> {
    const { endTokenIds } = this.#compiled;
    if (endTokenIds.includes(tokenId)) {
      this.#isEnded = this.#mayEnd();
      return this.#isEnded;
    }
    this.#state = this.#after(tokenId);
    return this.#state !== DEAD;
  }

  async allows(tokenId: number): Promise<boolean> {
    return this.#compiled.endTokenIds.includes(tokenId) ? this.#mayEnd() : this.#after(tokenId) !== DEAD;
  }

  async nextTokenMask(): Promise<Int32Array<ArrayBuffer>> {
    const { order, texts, endTokenIds } = this.#compiled;
    const mask = order.allowed(texts, this.#state).slice();
    for (const id of this.#mayEnd() ? endTokenIds : []) mask[id >> 5]! |= 1 << (id & 31);
    return mask;
  }

  forcedText(): string {
    const { automaton, texts } = this.#compiled;
    let place = texts.placeOf(this.#state);
    let text = '';
    while (place !== undefined) {
      const { accepts, edges } = automaton[place]!;
      const [edge, ...others] = edges;
      const [[low, high] = [0, 1], ...ranges] = edge?.on ?? [];
      if (accepts || edge === undefined || others.length > 0 || ranges.length > 0 || low !== high) break;
      text += String.fromCodePoint(low);
      place = edge.to;
    }
    return text;
  }

  isTerminated(): boolean {
    return this.#isEnded || (this.#compiled.endTokenIds.length === 0 && this.#mayEnd());
  }

  dispose(): void {}

  #mayEnd(): boolean {
    return this.#compiled.texts.accepts(this.#state);
  }

  #after(tokenId: number): number {
    const { order, texts } = this.#compiled;
    const bytes = order.bytesOf(tokenId);
    let state = bytes.length === 0 ? DEAD : this.#state;
    for (let i = 0; i < bytes.length && state !== DEAD; i++) state = texts.next(state, bytes[i]!);
    return state;
  }
}
