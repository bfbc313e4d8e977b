/** Takes the text of a custom tool's input out of the JSON that a model writes around it, as it is written. */

/** What begins the arguments when they are `{"input": "…"}`. */
const HEAD = /^\s*\{\s*"input"\s*:\s*"/;
/** Whole characters and escapes of a string, up to its end. */
const CHARACTERS = /^(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*/;
/** The first half of a pair: it waits for the second. */
const OPEN_PAIR = /(?:[\ud800-\udbff]|\\u[dD][89abAB][0-9a-fA-F]{2})$/;

export class CustomInput {
  #json = '';
  /** Characters of `#json` that have been given out, the head included; 0: the head has not come. */
  #numRead = 0;

  /** @returns what is new of the text, perhaps nothing */
  push(json: string): string {
    this.#json += json;
    if (this.#numRead === 0) this.#numRead = HEAD.exec(this.#json)?.[0].length ?? 0;
    return this.#numRead === 0 ? '' : this.#read();
  }

  /** The rest. Arguments of any other form are the text as they stand. */
  end(): string {
    if (this.#numRead > 0) return '';
    try {
      const value: unknown = JSON.parse(this.#json);
      const input: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'input') : undefined;
      if (typeof input === 'string') return input;
    } catch {
      // Not JSON: given as it stands.
    }
    return this.#json;
  }

  #read(): string {
    const whole = CHARACTERS.exec(this.#json.slice(this.#numRead))?.[0] ?? '';
    const ready = whole.replace(OPEN_PAIR, '');
    this.#numRead += ready.length;
    return unescaped(ready);
  }
}

const unescaped = (characters: string): string => {
  try {
    // A model may write line breaks as they are; JSON wants them escaped.
    return JSON.parse(`"${characters.replace(/[\n\r\t]/g, escapeControl)}"`) as string;
  } catch {
    return characters; // An escape that JSON does not have.
  }
};

const escapeControl = (control: string): string => JSON.stringify(control).slice(1, -1);
