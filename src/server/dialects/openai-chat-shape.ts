/** Some clients (Cursor) send bodies of the Responses API to the chat route, and want a chat's answer. */

import { SKIPPED_ITEMS } from './openai-responses-body.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The body with the fields that chats have; one with `messages` keeps them. Nothing is checked here. */
export const asChatBody = (body: unknown): unknown => {
  if (!isFields(body) || (body.messages ?? undefined) !== undefined || (body.input ?? undefined) === undefined)
    return body;
  const { input, instructions, max_output_tokens: maxTokens, reasoning, text, ...rest } = body;
  return {
    ...rest,
    messages: [...(instructions ? [{ role: 'system', content: instructions }] : []), ...messagesOf(input)],
    max_completion_tokens: rest.max_completion_tokens ?? maxTokens,
    reasoning_effort: rest.reasoning_effort ?? (isFields(reasoning) ? reasoning.effort : undefined),
    response_format: rest.response_format ?? (isFields(text) ? formatOf(text.format) : undefined),
  };
};

const formatOf = (format: unknown): unknown => {
  if (!isFields(format) || format.type !== 'json_schema') return format;
  const { type, ...schema } = format;
  return { type, json_schema: schema };
};

const messagesOf = (input: unknown): readonly unknown[] => {
  if (!Array.isArray(input)) return [{ role: 'user', content: input }];
  const messages: Fields[] = [];
  for (const item of input.filter(isShown).map(messageOf)) {
    const last = messages.at(-1);
    // An assistant's thoughts, text and calls are items apart, and one message here.
    if (isFields(item) && item.role === 'assistant' && last?.role === 'assistant')
      messages[messages.length - 1] = joined(last, item);
    else messages.push(item as Fields);
  }
  return messages;
};

const SKIPPED: ReadonlySet<unknown> = new Set(SKIPPED_ITEMS);

const isShown = (item: unknown): boolean => !(isFields(item) && SKIPPED.has(item.type));

const joined = (first: Fields, second: Fields): Fields => ({
  ...first,
  ...second,
  content: second.content ?? first.content,
  tool_calls: [...callsIn(first), ...callsIn(second)],
});

const callsIn = ({ tool_calls: calls }: Fields): readonly unknown[] => (Array.isArray(calls) ? calls : []);

const messageOf = (item: unknown): unknown => {
  if (!isFields(item)) return item;
  switch (item.type) {
    case 'function_call': {
      const { call_id: id, name, arguments: text } = item;
      return { role: 'assistant', tool_calls: [{ id, type: 'function', function: { name, arguments: text } }] };
    }
    case 'function_call_output':
    case 'custom_tool_call_output':
      return { role: 'tool', tool_call_id: item.call_id, content: item.output };
    case 'custom_tool_call': {
      const { call_id: id, name, input } = item;
      return { role: 'assistant', tool_calls: [{ id, type: 'custom', custom: { name, input } }] };
    }
    case 'reasoning':
      return { role: 'assistant', reasoning: textIn(item.content) || textIn(item.summary) };
    default:
      return item;
  }
};

const textIn = (parts: unknown): string =>
  Array.isArray(parts)
    ? parts.map((part) => (isFields(part) && typeof part.text === 'string' ? part.text : '')).join('')
    : '';
