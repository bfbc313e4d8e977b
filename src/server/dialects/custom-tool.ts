/** OpenAI's custom tools, which take one text: models call them as functions, with JSON around it. */
import type { ToolDefinition } from '../../runtime/api.ts';

export interface CustomTool {
  readonly description?: string | null | undefined;
  /** What the text must be. */
  readonly grammar?:
    | { readonly syntax?: string | null | undefined; readonly definition?: string | null | undefined }
    | undefined;
}

/**
 * The function that the model is shown. A regular expression is kept; any other grammar is told to the model alone.
 * @param name the model's name of it
 */
export const customDefinition = ({ description, grammar }: CustomTool, name: string): ToolDefinition => {
  const { syntax, definition } = grammar ?? {};
  const told = definition ? `The input must follow this ${syntax ?? 'lark'} grammar:\n${definition}` : '';
  const text = [description ?? '', told].filter((each) => each !== '').join('\n\n');
  const isKept = syntax === 'regex' && Boolean(definition);
  return {
    name,
    ...(text === '' ? {} : { description: text }),
    parameters: {
      type: 'object',
      properties: { input: { type: 'string', ...(isKept ? { pattern: `^(?:${definition})$` } : {}) } },
      required: ['input'],
      additionalProperties: false,
    },
    ...(isKept ? { strict: true } : {}),
  };
};

/** What begins the arguments when they are `{"input": "…"}`. */
const HEAD = /^\s*\{\s*"input"\s*:\s*"/;
/** Whole characters and escapes of a string, up to its end. */
const CHARACTERS = /^(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*/;
/** The first half of a pair: it waits for the second. */
const OPEN_PAIR = /(?:[\ud800-\udbff]|\\u[dD][89abAB][0-9a-fA-F]{2})$/;

/** Takes the text out of the JSON that a model writes around it, as it is written. */
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

/** The text of a whole call. */
export const customInput = (json: string): string => {
  const input = new CustomInput();
  const begun = input.push(json);
  return begun + input.end();
};
