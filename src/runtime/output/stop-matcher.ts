/** Finds stop strings in a text that arrives in pieces, and lets out only what can no longer be part of one. */

export interface StopResult {
  /** Text that is certain to belong to the answer. */
  readonly text: string;
  /** The stop string that was met; what follows it is dropped. */
  readonly stop?: string;
}

/**
 * The stop string that is complete first wins, and of those that end together the longest; so the result does not
 * depend on how the text was split.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** Takes the next piece. After a result with `stop` the matcher is spent. */
  push(piece: string): StopResult {
    const text = this.#held + piece;
    let found: { start: number; end: number; stop: string } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (!found || end < found.end || (end === found.end && start < found.start)) found = { start, end, stop };
    }
    if (found) {
      this.#held = '';
      return { text: text.slice(0, found.start), stop: found.stop };
    }
    const numHeld = this.#stops.reduce((most, stop) => Math.max(most, overlap(text, stop)), 0);
    this.#held = text.slice(text.length - numHeld);
    return { text: text.slice(0, text.length - numHeld) };
  }

  /** The text still held back, when no more will come. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

/** Length of the longest proper beginning of `pattern` that `text` ends with. */
export const overlap = (text: string, pattern: string): number => {
  for (let length = Math.min(text.length, pattern.length - 1); length > 0; length--) {
    if (text.endsWith(pattern.slice(0, length))) return length;
  }
  return 0;
};
