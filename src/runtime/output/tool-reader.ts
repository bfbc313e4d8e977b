/** Finds tool calls in an answer's text, as the formats write them. */

/** Reads one answer. What it finds it says to the `ToolCalls` it was made with; text is never lost. */
export interface ToolReader {
  push(piece: string): void;
  /** Whether with this text a call that was announced would be none; undefined: the answer's end. */
  breaksWith(text: string | undefined): boolean;
  /** The answer is over. @param isCut a limit ended it: an open call stays open */
  end(isCut: boolean): void;
}

/** Looks for tags in text that comes character by character. */
export class TagFinder {
  readonly #tags: readonly string[];
  #held = '';

  constructor(tags: readonly string[]) {
    this.#tags = tags;
  }

  /** Text that is in no tag, and the tag that the character completes. */
  push(character: string): { text: string; tag?: string } {
    let held = this.#held + character;
    let start = 0;
    while (start < held.length) {
      const rest = held.slice(start);
      const tag = this.#tags.find((candidate) => candidate.startsWith(rest));
      if (tag === undefined) start++;
      else if (tag.length === rest.length) {
        this.#held = '';
        return { text: held.slice(0, start), tag };
      } else break;
    }
    const text = held.slice(0, start);
    held = held.slice(start);
    this.#held = held;
    return { text };
  }

  /** What may begin a tag, when no more will come. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}
