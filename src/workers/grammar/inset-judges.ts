/** Say what may follow in an inset: one judge for each that an answer is in. */
import type { Inset } from './insets.ts';
import { DEAD, type Lengths, OVER, type TextAutomaton, textsOf } from './text-automaton.ts';
import type { TokenOrder } from './token-order.ts';

export interface Judge {
  readonly isOver: boolean;
  /** Goes on by a byte. False: that may not follow. */
  accept(byte: number): Promise<boolean>;
  /** Whether all of a token's rest may follow, or the inset ends within it; goes nowhere. */
  takes(rest: Uint8Array): Promise<boolean>;
  /** Takes tokens that may not follow from a mask. */
  restrict(mask: Int32Array): Promise<void>;
  /** What comes next without an alternative. */
  forcedText(): string;
  dispose(): void;
}

const intersect = (mask: Int32Array, other: Int32Array): void => {
  for (let i = 0; i < mask.length; i++) mask[i]! &= other[i]!;
};

/** In a string of an automaton's texts. */
class TextsJudge implements Judge {
  readonly #order: TokenOrder;
  readonly #texts: TextAutomaton;
  #state: number;

  constructor(order: TokenOrder, texts: TextAutomaton) {
    this.#order = order;
    this.#texts = texts;
    this.#state = texts.stateAt(0);
  }

  get isOver(): boolean {
    return this.#state === OVER;
  }

  async accept(byte: number): Promise<boolean> {
    this.#state = this.#texts.next(this.#state, byte);
    return this.#state !== DEAD;
  }

  async takes(rest: Uint8Array): Promise<boolean> {
    let state = this.#state;
    for (let i = 0; i < rest.length && state >= 0; i++) state = this.#texts.next(state, rest[i]!);
    return state !== DEAD;
  }

  async restrict(mask: Int32Array): Promise<void> {
    intersect(mask, this.#order.allowed(this.#texts, this.#state));
  }

  forcedText(): string {
    return '';
  }

  dispose(): void {}
}

/** In a string of some length. */
class LengthJudge implements Judge {
  readonly #order: TokenOrder;
  readonly #lengths: Lengths;
  /** How many characters there may still be, and how many there must be. */
  #room: number;
  #needed: number;
  /** How much of the next character is read. */
  #node = 0;
  isOver = false;

  constructor(order: TokenOrder, lengths: Lengths, minimum: number, maximum: number) {
    this.#order = order;
    this.#lengths = lengths;
    this.#room = maximum;
    this.#needed = minimum;
  }

  async accept(byte: number): Promise<boolean> {
    const { texts } = this.#lengths;
    const state = texts.next(this.#state(), byte);
    if (state === DEAD) return false;
    this.isOver = state === OVER;
    if (this.isOver) return true;
    this.#node = texts.nodeOf(state);
    if (this.#node === 0) {
      this.#room--;
      this.#needed = Math.max(0, this.#needed - 1);
    }
    return true;
  }

  async takes(rest: Uint8Array): Promise<boolean> {
    let state = this.#state();
    for (let i = 0; i < rest.length && state >= 0; i++) state = this.#lengths.texts.next(state, rest[i]!);
    return state !== DEAD;
  }

  async restrict(mask: Int32Array): Promise<void> {
    if (this.#lengths.isFree(this.#room, this.#needed)) return;
    intersect(mask, this.#order.allowed(this.#lengths.texts, this.#state()));
  }

  forcedText(): string {
    return '';
  }

  dispose(): void {}

  #state(): number {
    return this.#lengths.state(this.#room, this.#needed, this.#node);
  }
}

/** The judges of strings, and what those of one inset share. */
export class StringJudges {
  readonly #order: TokenOrder;
  readonly #lengths: Lengths;
  readonly #texts = new Map<Inset, TextAutomaton>();

  constructor(order: TokenOrder, lengths: Lengths) {
    this.#order = order;
    this.#lengths = lengths;
  }

  begin(inset: Extract<Inset, { kind: 'texts' | 'length' }>): Judge {
    if (inset.kind === 'length') return new LengthJudge(this.#order, this.#lengths, inset.minimum, inset.maximum);
    const texts = this.#texts.get(inset) ?? textsOf(inset.automaton, 'json');
    this.#texts.set(inset, texts);
    return new TextsJudge(this.#order, texts);
  }
}
