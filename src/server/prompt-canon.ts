/** Takes out of prompts what differs between requests that mean the same, so that the cache finds what it has. */
import { createHash } from 'node:crypto';
import type { ChatMessage, ChatPrompt, Prompt, ToolDefinition } from '../runtime/api.ts';

/** Claude Code puts a line here that differs in every session, before all else. */
const ATTRIBUTION = /^x-anthropic-billing-header:.*\n*/;

/** Sets of tools whose form is remembered. */
const MAX_TOOL_SETS = 256;

/**
 * - An attribution line at the beginning of the first system message goes.
 * - Tools that differ from some seen before only in their order, or in that of their keys, are shown as they were then.
 * Whether the rest of a prompt is rendered in its stable form, `ChatPrompt.verbatim` says.
 */
export class PromptCanon {
  readonly #isOn: boolean;
  /** As first seen; the least recently used set first. */
  readonly #tools = new Map<string, readonly ToolDefinition[]>();

  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** @param owner tools are remembered for each owner apart: nobody learns from a prompt what others send */
  apply(owner: string, prompt: Prompt): Prompt {
    if (prompt.kind !== 'chat') return prompt;
    if (!this.#isOn) return { ...prompt, verbatim: true };
    const tools = prompt.tools && this.#known(owner, prompt.tools);
    return { ...prompt, messages: withoutAttribution(prompt), ...(tools ? { tools } : {}) };
  }

  #known(owner: string, tools: readonly ToolDefinition[]): readonly ToolDefinition[] {
    const sorted = tools.map((tool) => JSON.stringify(sortedKeys(tool))).sort();
    const key = createHash('sha256')
      .update(JSON.stringify([owner, sorted]))
      .digest('base64');
    const known = this.#tools.get(key) ?? tools;
    this.#tools.delete(key);
    this.#tools.set(key, known);
    const [oldest] = this.#tools.keys();
    if (this.#tools.size > MAX_TOOL_SETS && oldest !== undefined) this.#tools.delete(oldest);
    return known;
  }
}

const withoutAttribution = ({ messages }: ChatPrompt): readonly ChatMessage[] => {
  const [first, ...rest] = messages;
  if (first === undefined || (first.role !== 'system' && first.role !== 'developer')) return messages;
  if (typeof first.content === 'string') {
    if (!ATTRIBUTION.test(first.content)) return messages;
    const content = first.content.replace(ATTRIBUTION, '');
    return content === '' ? rest : [{ ...first, content }, ...rest];
  }
  const [part, ...parts] = first.content;
  if (part === undefined || !ATTRIBUTION.test(part.text)) return messages;
  const text = part.text.replace(ATTRIBUTION, '');
  const content = text === '' ? parts : [{ ...part, text }, ...parts];
  return content.length === 0 ? rest : [{ ...first, content }, ...rest];
};

const sortedKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([first], [second]) => (first < second ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortedKeys(inner)]));
};
