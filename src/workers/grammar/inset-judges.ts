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

/** Masks that are kept of one automaton, or of all lengths; each has 19 KB for 151,936 tokens. */
const MAX_MASKS = 256;

const intersect = (mask: Int32Array, other: Int32Array): void => {
  for (let i = 0; i < mask.length; i++) mask[i]! &= other[i]!;
};

/** Masks by state, least recently used first. */
export class Masks {
  readonly #byState = new Map<number, Int32Array>();

  get(state: number, make: () => Int32Array): Int32Array {
    const mask = this.#byState.get(state) ?? make();
    this.#byState.delete(state);
    this.#byState.set(state, mask);
    if (this.#byState.size > MAX_MASKS) this.#byState.delete(this.#byState.keys().next().value!);
    return mask;
  }
}

/** In a string of an automaton's texts. */
class TextsJudge implements Judge {
  readonly #order: TokenOrder;
  readonly #texts: TextAutomaton;
  readonly #masks: Masks;
  #state: number;

  constructor(order: TokenOrder, texts: TextAutomaton, masks: Masks) {
    this.#order = order;
    this.#texts = texts;
    this.#masks = masks;
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
    const state = this.#state;
    intersect(
      mask,
      this.#masks.get(state, () => this.#order.allowed(this.#texts, state)),
    );
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
  readonly #masks: Masks;
  /** How many characters there may still be, and how many there must be. */
  #room: number;
  #needed: number;
  /** How much of the next character is read. */
  #node = 0;
  isOver = false;

  constructor(order: TokenOrder, lengths: Lengths, masks: Masks, minimum: number, maximum: number) {
    this.#order = order;
    this.#lengths = lengths;
    this.#masks = masks;
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
    const state = this.#state();
    intersect(
      mask,
      this.#masks.get(state, () => this.#order.allowed(this.#lengths.texts, state)),
    );
  }

  forcedText(): string {
    return '';
  }

  dispose(): void {}

  #state(): number {
    return this.#lengths.state(this.#room, this.#needed, this.#node);
  }
}

/** What strings of some length share in a vocabulary, whatever the length. */
export interface LengthMasks {
  readonly lengths: Lengths;
  readonly masks: Masks;
}

/** The judges of strings, and what those of one inset share. */
export class StringJudges {
  readonly #order: TokenOrder;
  readonly #lengths: LengthMasks;
  readonly #texts = new Map<Inset, { texts: TextAutomaton; masks: Masks }>();

  constructor(order: TokenOrder, lengths: LengthMasks) {
    this.#order = order;
    this.#lengths = lengths;
  }

  begin(inset: Extract<Inset, { kind: 'texts' | 'length' }>): Judge {
    if (inset.kind === 'length') {
      const { lengths, masks } = this.#lengths;
      return new LengthJudge(this.#order, lengths, masks, inset.minimum, inset.maximum);
    }
    const known = this.#texts.get(inset) ?? { texts: textsOf(inset.automaton, 'json'), masks: new Masks() };
    this.#texts.set(inset, known);
    return new TextsJudge(this.#order, known.texts, known.masks);
  }
}
