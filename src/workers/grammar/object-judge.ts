/** The judge of an inset that is a JSON object: a matcher over its own grammar. */
import type { Judge } from './inset-judges.ts';

/** Of `AnswerMatcher`. */
interface Matcher {
  acceptBytes(bytes: Uint8Array): Promise<number>;
  takes(bytes: Uint8Array): Promise<boolean>;
  nextTokenMask(): Promise<Int32Array>;
  forcedText(): string;
  dispose(): void;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BEGIN = Uint8Array.of(0x7b);
const NESTING: Readonly<Record<number, number>> = { 123: 1, 91: 1, 125: -1, 93: -1 };

export class ObjectJudge implements Judge {
  readonly #matcher: Matcher;
  #depth = 1;
  #isInString = false;
  #isEscaped = false;

  private constructor(matcher: Matcher) {
    this.#matcher = matcher;
  }

  /** @param matcher from now on the judge's own; its grammar takes any bytes behind the object */
  static async begin(matcher: Matcher): Promise<ObjectJudge> {
    await matcher.acceptBytes(BEGIN);
    return new ObjectJudge(matcher);
  }

  get isOver(): boolean {
    return this.#depth === 0;
  }

  async accept(byte: number): Promise<boolean> {
    if ((await this.#matcher.acceptBytes(Uint8Array.of(byte))) === 0) return false;
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === QUOTE) this.#isInString = !this.#isInString;
    else if (!this.#isInString) this.#depth += NESTING[byte] ?? 0;
    else this.#isEscaped = byte === BACKSLASH;
    return true;
  }

  takes(rest: Uint8Array): Promise<boolean> {
    return this.#matcher.takes(rest);
  }

  async restrict(mask: Int32Array): Promise<void> {
    const allowed = await this.#matcher.nextTokenMask();
    for (let i = 0; i < mask.length; i++) mask[i]! &= allowed[i]!;
  }

  forcedText(): string {
    return this.#matcher.forcedText();
  }

  dispose(): void {
    this.#matcher.dispose();
  }
}
