/** Anthropic's system and messages fields as a conversation for the chat template. */
import { z } from 'zod';
import type { ChatMessage, ToolCall } from '../../runtime/api.ts';
import { blocksText, content, joinParagraphs, PARAGRAPH_BREAK, readTurn, type Turn } from './anthropic-blocks.ts';
import { invalidParam, optional } from './body-schema.ts';

export const promptFields = {
  system: optional(content),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant', 'system']), content })).min(1),
};

type PromptBody = z.output<z.ZodObject<typeof promptFields>>;
type Role = PromptBody['messages'][number]['role'];

/**
 * @returns the messages, and whether the last one is an assistant's turn to be continued
 * @throws EngineError invalid_request, not_supported
 */
export const toChat = (body: PromptBody): { messages: readonly ChatMessage[]; continueFinalMessage: boolean } => {
  const system = blocksText(body.system, 'system', PARAGRAPH_BREAK);
  const runs = runsOf(body.messages);
  const messages: ChatMessage[] = [
    ...(system === '' ? [] : [{ role: 'system', content: system } as const]),
    ...runs.flatMap(({ role, turn }) => toMessages(role, turn)),
  ];
  const last = messages.at(-1);
  if (last?.toolCalls !== undefined) {
    const ids = last.toolCalls.map(({ id }) => id).join(', ');
    const rule = 'Each `tool_use` block must have a corresponding `tool_result` block in the next message.';
    throw invalidParam(
      `messages.${body.messages.length - 1}`,
      `\`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${ids}. ${rule}`,
    );
  }
  // An empty last assistant turn asks for nothing to be continued.
  if (last?.role === 'assistant' && last.content === '' && last.reasoning === undefined) messages.pop();
  return { messages, continueFinalMessage: messages.at(-1)?.role === 'assistant' };
};

interface Run {
  readonly role: Role;
  readonly turns: Turn[];
}

/** Neighbouring messages of one role are one turn. */
const runsOf = (messages: PromptBody['messages']): readonly { role: Role; turn: Turn }[] => {
  const calls = new Map<string, ToolCall>();
  const runs: Run[] = [];
  for (const [index, { role, content: source }] of messages.entries()) {
    const turn = readTurn(role, source, `messages.${index}.content`, calls);
    for (const call of turn.calls) calls.set(call.id, call);
    const last = runs.at(-1);
    if (last?.role === role) last.turns.push(turn);
    else runs.push({ role, turns: [turn] });
  }
  return runs.map(({ role, turns }) => ({ role, turn: merge(turns) }));
};

const merge = (turns: readonly Turn[]): Turn => ({
  text: joinParagraphs(turns.map(({ text }) => text)),
  reasoning: joinParagraphs(turns.map(({ reasoning }) => reasoning)),
  calls: turns.flatMap(({ calls }) => calls),
  results: turns.flatMap(({ results }) => results),
});

/** Results come first, wherever in the turn they stood: templates want them right after their calls. */
const toMessages = (role: Role, { text, reasoning, calls, results }: Turn): readonly ChatMessage[] => {
  if (results.length > 0 && text === '') return results;
  const message: ChatMessage = {
    role,
    content: text,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { toolCalls: calls }),
  };
  return [...results, message];
};
