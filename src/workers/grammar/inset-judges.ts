/** Say what may follow in an inset: one judge for each that an answer is in. */
import { CountedTexts, DEAD, OVER, WrittenTexts } from './byte-automaton.ts';
import type { Inset } from './insets.ts';
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
class Masks {
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
  readonly #texts: WrittenTexts;
  readonly #masks: Masks;
  #state: number;

  constructor(order: TokenOrder, texts: WrittenTexts, masks: Masks) {
    this.#order = order;
    this.#texts = texts;
    this.#masks = masks;
    this.#state = texts.first;
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

/** What strings of some length share, whatever the length. */
export class Lengths {
  readonly texts = new CountedTexts();
  readonly masks = new Masks();
}

/** In a string of some length. */
class LengthJudge implements Judge {
  readonly #order: TokenOrder;
  readonly #lengths: Lengths;
  #room: number;
  #needed: number;
  /** Of `CountedTexts`: 0 between characters. */
  #place = 0;
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
    if (this.#place === 0) {
      this.#room--;
      this.#needed = Math.max(0, this.#needed - 1);
    }
    this.#place = texts.placeOf(state);
    return true;
  }

  async takes(rest: Uint8Array): Promise<boolean> {
    let state = this.#state();
    for (let i = 0; i < rest.length && state >= 0; i++) state = this.#lengths.texts.next(state, rest[i]!);
    return state !== DEAD;
  }

  async restrict(mask: Int32Array): Promise<void> {
    // Any string of the loose grammar will do.
    if (this.#room > this.#order.longest && this.#needed === 0) return;
    const state = this.#state();
    intersect(
      mask,
      this.#lengths.masks.get(state, () => this.#order.allowed(this.#lengths.texts, state)),
    );
  }

  forcedText(): string {
    return '';
  }

  dispose(): void {}

  /** Counts beyond the longest token make no difference to the next one. */
  #state(): number {
    const { longest } = this.#order;
    const room = this.#room > longest ? Number.POSITIVE_INFINITY : this.#room;
    return this.#lengths.texts.state(room, Math.min(this.#needed, longest + 1), this.#place);
  }
}

/** The judges of strings, and what those of one inset, or of one vocabulary, share. */
export class StringJudges {
  readonly #order: TokenOrder;
  readonly #lengths: Lengths;
  readonly #texts = new Map<Inset, { texts: WrittenTexts; masks: Masks }>();

  constructor(order: TokenOrder, lengths: Lengths) {
    this.#order = order;
    this.#lengths = lengths;
  }

  begin(inset: Extract<Inset, { kind: 'texts' | 'length' }>): Judge {
    if (inset.kind === 'length') return new LengthJudge(this.#order, this.#lengths, inset.minimum, inset.maximum);
    const known = this.#texts.get(inset) ?? { texts: new WrittenTexts(inset.automaton), masks: new Masks() };
    this.#texts.set(inset, known);
    return new TextsJudge(this.#order, known.texts, known.masks);
  }
}
