/** The shape of a conversation as digests: enough to recognize it and to say what changed, without a word of it. */
import { createHash } from 'node:crypto';
import type { ChatMessage, Prompt } from '../api.ts';

export interface Outline {
  /** Of the instructions at the beginning. */
  readonly system: string;
  /** One a tool, in order. */
  readonly tools: readonly string[];
  /** One for each message after the instructions, without its reasoning. */
  readonly messages: readonly string[];
  /** Some message has reasoning. */
  readonly hasReasoning: boolean;
}

/** Undefined for prompts that are no conversation. */
export const outlineOf = (prompt: Prompt): Outline | undefined => {
  if (prompt.kind !== 'chat') return undefined;
  const { messages, tools = [] } = prompt;
  const firstOther = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const numLeading = firstOther < 0 ? messages.length : firstOther;
  return {
    system: digest(messages.slice(0, numLeading).map(contentText)),
    tools: tools.map((tool) => digest(sortedKeys(tool))),
    messages: messages.slice(numLeading).map(messageDigest),
    hasReasoning: messages.some(({ reasoning = '' }) => reasoning !== ''),
  };
};

/** Leading messages that two conversations share. */
export const commonMessages = (first: Outline, second: Outline): number => {
  const end = Math.min(first.messages.length, second.messages.length);
  for (let index = 0; index < end; index++) if (first.messages[index] !== second.messages[index]) return index;
  return end;
};

const messageDigest = ({ reasoning: _, content, ...message }: ChatMessage): string =>
  digest(sortedKeys({ ...message, content: contentText({ content }) }));

const contentText = ({ content }: Pick<ChatMessage, 'content'>): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('');

const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16);

/** Equal for objects that differ in the order of their keys alone. */
const sortedKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([first], [second]) => (first < second ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortedKeys(inner)]));
};
