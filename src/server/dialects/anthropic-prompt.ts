/** Anthropic's system and messages fields as a conversation for the chat template. */
import { z } from 'zod';
import type { ChatMessage } from '../../runtime/api.ts';
import { cacheMark } from './anthropic-cache.ts';
import { invalidParam, optional, unsupportedParam } from './body-schema.ts';

const block = z.looseObject({
  ...cacheMark,
  type: z.string(),
  text: optional(z.string()),
  thinking: optional(z.string()),
});
const content = z.union([z.string(), z.array(block)]);

export const promptFields = {
  system: optional(content),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant', 'system']), content })).min(1),
};

type Block = z.output<typeof block>;
type PromptBody = z.output<z.ZodObject<typeof promptFields>>;

/** Between turns of one role that are merged, and between blocks of the system prompt. */
const PARAGRAPH_BREAK = '\n\n';

interface Turn {
  readonly text: string;
  readonly reasoning: string;
}

/** @returns the messages, and whether the last one is an assistant's turn to be continued */
export const toChat = (body: PromptBody): { messages: readonly ChatMessage[]; continueFinalMessage: boolean } => {
  const system = systemText(body.system);
  const messages: ChatMessage[] = system === '' ? [] : [{ role: 'system', content: system }];
  body.messages.forEach(({ role, content }, index) => {
    const turn = toTurn(content, `messages.${index}.content`, role);
    const last = messages.at(-1);
    if (last?.role === role) messages[messages.length - 1] = merge(last, turn);
    else messages.push(toMessage(role, turn));
  });
  const last = messages.at(-1);
  // An empty last assistant turn asks for nothing to be continued.
  if (last?.role === 'assistant' && last.content === '' && last.reasoning === undefined) messages.pop();
  return { messages, continueFinalMessage: messages.at(-1)?.role === 'assistant' };
};

const systemText = (system: PromptBody['system']): string => {
  if (system === undefined || system === null) return '';
  if (typeof system === 'string') return system;
  return system.map((block, index) => textOf(block, `system.${index}`)).join(PARAGRAPH_BREAK);
};

const toTurn = (content: string | readonly Block[], path: string, role: string): Turn => {
  if (typeof content === 'string') return { text: content, reasoning: '' };
  const isThought = (block: Block): boolean => role === 'assistant' && block.type === 'thinking';
  return {
    reasoning: content.map((block) => (isThought(block) ? (block.thinking ?? '') : '')).join(''),
    text: content
      .map((block, index) =>
        // Signatures are opaque and ours are never checked; what is redacted cannot be shown to the model.
        isThought(block) || block.type === 'redacted_thinking' ? '' : textOf(block, `${path}.${index}`),
      )
      .join(role === 'system' ? PARAGRAPH_BREAK : ''),
  };
};

const textOf = (block: Block, path: string): string => {
  if (block.type !== 'text') throw unsupportedParam(`${path}.type`, `content blocks of type '${block.type}' are`);
  if (typeof block.text === 'string') return block.text;
  throw invalidParam(`${path}.text`, 'Field required', 'missing_required_parameter');
};

const toMessage = (role: ChatMessage['role'], { text, reasoning }: Turn): ChatMessage =>
  reasoning === '' ? { role, content: text } : { role, content: text, reasoning };

const merge = (first: ChatMessage, second: Turn): ChatMessage =>
  toMessage(first.role, {
    text: [first.content, second.text].filter((text) => text !== '').join(PARAGRAPH_BREAK),
    reasoning: [first.reasoning ?? '', second.reasoning].filter((text) => text !== '').join(PARAGRAPH_BREAK),
  });
