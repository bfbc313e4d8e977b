/** Keeps the thinking of the turn under way, where a template would drop it: the model has just computed it. */
import type { TemplateMessage } from './fold-messages.ts';

/** As templates that show thinking write it. */
const asText = (reasoning: string, content: string | null): string =>
  `<think>\n${reasoning.replace(/^\n+|\n+$/g, '')}\n</think>\n\n${content ?? ''}`;

/** The messages after the last user's that call tools, with their thinking in tags before their text. */
export const keepThoughts = (messages: readonly TemplateMessage[]): readonly TemplateMessage[] => {
  const start = messages.findLastIndex(({ role }) => role === 'user');
  return messages.map((message, index) => {
    const { reasoning_content: reasoning, ...rest } = message;
    if (index < start || !reasoning || message.tool_calls === undefined) return message;
    return { ...rest, content: asText(reasoning, message.content) };
  });
};

const THOUGHTFUL: readonly TemplateMessage[] = [
  { role: 'user', content: 'Ask-0' },
  {
    role: 'assistant',
    content: '',
    reasoning_content: 'Why-1',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'find_1', arguments: {} } }],
  },
  { role: 'tool', content: 'Result-1', tool_call_id: 'call_1', name: 'find_1' },
];

/**
 * Whether a template drops the thinking before a call although its model thinks in these tags, and shows it in the text.
 * @param render a conversation as it is fitted to the template; undefined where that throws
 */
export const dropsThoughts = (
  source: string,
  render: (messages: readonly TemplateMessage[]) => string | undefined,
): boolean => {
  if (!source.includes('</think>') || (render(THOUGHTFUL) ?? '').includes('Why-1')) return false;
  return (render(keepThoughts(THOUGHTFUL)) ?? '').includes(asText('Why-1', ''));
};
