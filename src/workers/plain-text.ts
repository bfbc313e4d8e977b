/**
 * Keeps a caller's text from becoming special tokens on its way through a chat template. Before rendering, a character
 * that begins such a token, wholly or with its first characters, is exchanged for a private-use stand-in; afterwards it
 * is put back as literal text. Text without such characters is rendered as it stands.
 */
import type { TemplateMessage } from './fold-messages.ts';
import type { Segment } from './tokenizer/special-tokens.ts';
import type { TemplateTool } from './tool-turns.ts';

/** Texts of tokens that a conversation must not make. */
export interface GuardedTokens {
  /** Never: they mark turns and roles. */
  readonly control: readonly string[];
  /** Tags such as `<tool_call>`. Not in users' and tools' words, but where instructions or earlier answers have them. */
  readonly tags: readonly string[];
}

export interface GuardedPrompt {
  readonly messages: readonly TemplateMessage[];
  readonly tools: readonly TemplateTool[];
  readonly templateArguments: Readonly<Record<string, unknown>>;
}

/**
 * Characters that are enough to take for a token: a template that removes something from a text (`/think`) must not
 * complete one. Fewer would hide tags like `</think>`, which templates look for in answers, where `</s>` is a token.
 */
const PREFIX_LENGTH = 3;
const STAND_INS = { first: 0xe000, last: 0xf8ff };

export class PlainText {
  readonly #control: RegExp | undefined;
  readonly #all: RegExp | undefined;

  constructor({ control, tags }: GuardedTokens) {
    this.#control = beginningsOf(control);
    this.#all = beginningsOf([...control, ...tags]);
  }

  /** Exchanges what must stay plain; `restore` cuts the rendered text back into the template's and the literal parts. */
  protect(prompt: GuardedPrompt): GuardedPrompt & { readonly restore: (rendered: string) => Segment[] } {
    const standIns = new StandIns(prompt);
    const messages = prompt.messages.map((message) => {
      const isTagged = message.role !== 'user' && message.role !== 'tool';
      return exchange(message, isTagged ? this.#control : this.#all, standIns) as TemplateMessage;
    });
    const templateArguments = exchange(prompt.templateArguments, this.#all, standIns) as Record<string, unknown>;
    const tools = prompt.tools.map((tool) => exchange(tool, this.#all, standIns) as TemplateTool);
    return { messages, tools, templateArguments, restore: (rendered) => standIns.restore(rendered) };
  }
}

/** Characters that the prompt does not have, one for each that was exchanged. */
class StandIns {
  readonly #prompt: GuardedPrompt;
  readonly #byOriginal = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  #used: ReadonlySet<string> | undefined;
  #next = STAND_INS.first;

  constructor(prompt: GuardedPrompt) {
    this.#prompt = prompt;
  }

  for(character: string): string {
    const known = this.#byOriginal.get(character);
    if (known !== undefined) return known;
    this.#used ??= new Set(stringsIn(this.#prompt).flatMap((text) => text.match(/[\ue000-\uf8ff]/g) ?? []));
    while (this.#used.has(String.fromCharCode(this.#next)) && this.#next < STAND_INS.last) this.#next++;
    const standIn = String.fromCharCode(this.#next++);
    this.#byOriginal.set(character, standIn);
    this.#originals.set(standIn, character);
    return standIn;
  }

  restore(rendered: string): Segment[] {
    if (this.#originals.size === 0) return [{ text: rendered, isLiteral: false }];
    const pattern = new RegExp(`([${[...this.#originals.keys()].join('')}])`);
    return rendered
      .split(pattern)
      .map((text) => ({ text: this.#originals.get(text) ?? text, isLiteral: this.#originals.has(text) }))
      .filter(({ text }) => text !== '');
  }
}

const beginningsOf = (tokens: readonly string[]): RegExp | undefined => {
  const prefixes = new Set(tokens.filter((token) => token !== '').map((token) => token.slice(0, PREFIX_LENGTH)));
  const alternatives = [...prefixes].map((prefix) => `${escaped(prefix[0]!)}(?=${escaped(prefix.slice(1))})`);
  return alternatives.length === 0 ? undefined : new RegExp(alternatives.join('|'), 'g');
};

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** Exchanges in all strings and keys of a JSON-like value, but for a message's role. */
const exchange = (value: unknown, pattern: RegExp | undefined, standIns: StandIns): unknown => {
  if (typeof value === 'string') return pattern ? value.replace(pattern, (found) => standIns.for(found)) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((part) => exchange(part, pattern, standIns));
  const entries = Object.entries(value).map(([key, part]) => [
    exchange(key, pattern, standIns),
    exchange(part, pattern, standIns),
  ]);
  return Object.fromEntries(entries);
};

const stringsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => [key, ...stringsIn(part)]);
};
