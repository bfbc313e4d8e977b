/** The calls of one answer: which tools there are, and what is said of a call that works out or does not. */
import { randomBytes } from 'node:crypto';
import type { ToolDefinition } from '../api.ts';
import { spellMarks } from './control-marks.ts';
import type { EventWriter } from './event-writer.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** @returns so many random letters and digits */
export const randomId = (length: number): string => {
  let id = '';
  while (id.length < length) {
    // Bytes beyond the last whole alphabet would make its beginning more probable.
    for (const byte of randomBytes(length)) if (byte < 248) id += ALPHABET[byte % ALPHABET.length];
  }
  return id.slice(0, length);
};

export interface ToolCallsOptions {
  readonly tools: readonly ToolDefinition[];
  readonly newCallId: () => string;
  /** What `controlMark`s stand for. */
  readonly tags: readonly string[];
}

/** One call is open at a time. A call is announced by its name, and only if there is such a tool. */
export class ToolCalls {
  readonly #writer: EventWriter;
  readonly #tools: ReadonlyMap<string, ToolDefinition>;
  readonly #newCallId: () => string;
  readonly #tags: readonly string[];
  #numStarted = 0;
  #numWhole = 0;
  #isOpen = false;
  #unsaid = '';

  constructor(writer: EventWriter, { tools, newCallId, tags }: ToolCallsOptions) {
    this.#writer = writer;
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
    this.#newCallId = newCallId;
    this.#tags = tags;
  }

  get numWhole(): number {
    return this.#numWhole;
  }

  /** A call was announced and has not ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  tool(name: string): ToolDefinition | undefined {
    return this.#tools.get(name);
  }

  text(text: string): void {
    this.#unsaid += text;
  }

  /** @param name of a tool that there is */
  start(name: string): void {
    this.settle();
    this.#isOpen = true;
    this.#writer.other({ type: 'tool_call_start', index: this.#numStarted++, id: this.#newCallId(), name });
  }

  /** The next piece of the open call's arguments. A tag within them is what was meant, not a tag. */
  arguments(text: string): void {
    this.#unsaid += text;
  }

  end(): void {
    this.settle();
    this.#isOpen = false;
    this.#numWhole++;
    this.#writer.other({ type: 'tool_call_end', index: this.#index });
  }

  /** Gives up the open call, or what looked like one. @param whole its text as the model wrote it */
  giveUp(whole: string, reason: string): void {
    this.settle();
    const message = `a tool call could not be read and is given as text: ${reason}`;
    const index = this.#isOpen ? { index: this.#index } : {};
    this.#isOpen = false;
    this.#writer.other({ type: 'warning', code: 'malformed_tool_call', message, ...index });
    this.text(whole);
  }

  /** Says what was collected: text, or the open call's arguments. They come one character at a time. */
  settle(): void {
    const text = this.#unsaid;
    this.#unsaid = '';
    if (text === '') return;
    if (!this.#isOpen) this.#writer.text(text);
    else this.#writer.other({ type: 'tool_call_arguments', index: this.#index, text: spellMarks(text, this.#tags) });
  }

  get #index(): number {
    return this.#numStarted - 1;
  }
}
