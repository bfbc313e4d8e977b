/** A conversation of items as messages: neighbouring items of one assistant turn become one message. */
import type { ChatMessage, TextPart, ToolCall } from '../../runtime/api.ts';
import { invalidParam, unsupportedParam } from './body-schema.ts';
import { earlierArguments } from './call-arguments.ts';
import type { ContentPart, InputItem } from './openai-responses-body.ts';
import { openReasoning } from './openai-responses-reasoning.ts';
import { flatName } from './openai-responses-tools.ts';

/** An item that stands for itself. */
export type ResolvedItem = Exclude<InputItem, { type: 'item_reference' }>;

interface Turn {
  reasoning: string;
  content: string | readonly TextPart[] | undefined;
  calls: ToolCall[];
}

/** Parts that hold text under `text`. */
const TEXT_PARTS: ReadonlySet<string> = new Set([
  'text',
  'input_text',
  'output_text',
  'summary_text',
  'reasoning_text',
]);

/**
 * @param paramOf names an item in errors
 * @throws EngineError invalid_request (a result without its call), not_supported (images, files, audio)
 */
export const toMessages = (
  items: readonly ResolvedItem[],
  paramOf: (index: number) => string,
): readonly ChatMessage[] => {
  const messages: ChatMessage[] = [];
  const callNames = new Map<string, string>();
  let turn: Turn | undefined;
  const endTurn = (): void => {
    if (turn !== undefined) messages.push(...messagesOf(turn));
    turn = undefined;
  };
  /** The turn that an item belongs to: a new one where the item cannot follow what there is. */
  const turnFor = (follows: (turn: Turn) => boolean): Turn => {
    if (turn !== undefined && !follows(turn)) endTurn();
    turn ??= { reasoning: '', content: undefined, calls: [] };
    return turn;
  };
  items.forEach((item, index) => {
    const param = paramOf(index);
    switch (item.type) {
      case 'message': {
        const content = contentOf(item.content, `${param}.content`);
        if (item.role !== 'assistant') {
          endTurn();
          messages.push({ role: item.role, content });
        } else turnFor((open) => open.content === undefined && open.calls.length === 0).content = content;
        return;
      }
      case 'reasoning': {
        const open = turnFor(({ content, calls }) => content === undefined && calls.length === 0);
        open.reasoning += reasoningOf(item);
        return;
      }
      case 'function_call':
      case 'custom_tool_call': {
        const call = callOf(item);
        callNames.set(call.id, call.name);
        turnFor(() => true).calls.push(call);
        return;
      }
      case 'function_call_output':
      case 'custom_tool_call_output': {
        const name = callNames.get(item.call_id);
        if (name === undefined)
          throw invalidParam(
            `${param}.call_id`,
            `no tool call with call_id '${item.call_id}' comes before this output`,
          );
        endTurn();
        messages.push({
          role: 'tool',
          content: contentOf(item.output, `${param}.output`),
          name,
          toolCallId: item.call_id,
        });
        return;
      }
      default: // A tool that ran elsewhere: no template could show it.
    }
  });
  endTurn();
  return messages;
};

const messagesOf = ({ reasoning, content, calls }: Turn): ChatMessage[] => {
  if (reasoning === '' && content === undefined && calls.length === 0) return [];
  return [
    {
      role: 'assistant',
      content: content ?? '',
      ...(reasoning === '' ? {} : { reasoning }),
      ...(calls.length === 0 ? {} : { toolCalls: calls }),
    },
  ];
};

const contentOf = (content: string | readonly ContentPart[], param: string): string | readonly TextPart[] =>
  typeof content === 'string' ? content : content.map((part, index) => textPart(part, `${param}.${index}`));

const textPart = ({ type, text, refusal }: ContentPart, param: string): TextPart => {
  const field = type === 'refusal' ? 'refusal' : 'text';
  if (type !== 'refusal' && !TEXT_PARTS.has(type))
    throw unsupportedParam(`${param}.type`, `parts of type '${type}' are`);
  const value = type === 'refusal' ? refusal : text;
  if (typeof value === 'string') return { type: 'text', text: value };
  throw invalidParam(`${param}.${field}`, 'Field required', 'missing_required_parameter');
};

/** What the model thought: as it came from here, else as the client shows it, else its summary. */
const reasoningOf = (item: Extract<InputItem, { type: 'reasoning' }>): string => {
  const joined = (parts: readonly ContentPart[] | null | undefined): string =>
    (parts ?? []).map(({ text }) => text ?? '').join('');
  return openReasoning(item.encrypted_content) ?? (joined(item.content) || joined(item.summary));
};

const callOf = (item: Extract<InputItem, { type: 'function_call' | 'custom_tool_call' }>): ToolCall => ({
  id: item.call_id,
  name: flatName(item.name, item.namespace),
  arguments: item.type === 'custom_tool_call' ? { input: item.input } : earlierArguments(item.arguments),
});
