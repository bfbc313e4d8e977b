/** A conversation of items as messages: neighbouring items of one assistant turn become one message. */
import type { ChatMessage, TextPart, ToolCall } from '../../runtime/api.ts';
import { invalidParam, unsupportedParam } from './body-schema.ts';
import { earlierArguments } from './call-arguments.ts';
import type { ContentPart, InputItem } from './openai-responses-body.ts';
import { flatName } from './openai-responses-tools.ts';
import { openReasoning } from './sealed-reasoning.ts';

/** An item that stands for itself. */
export type ResolvedItem = Exclude<InputItem, { type: 'item_reference' }>;

type CallItem = Extract<InputItem, { type: 'function_call' | 'custom_tool_call' }>;
type ResultItem = Extract<InputItem, { type: 'function_call_output' | 'custom_tool_call_output' }>;

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
  const reader = new ItemReader(items);
  items.forEach((item, index) => {
    reader.read(item, paramOf(index));
  });
  return reader.end();
};

class ItemReader {
  readonly #messages: ChatMessage[] = [];
  /** By id. */
  readonly #callNames = new Map<string, string>();
  readonly #answered: ReadonlySet<string>;
  #turn: Turn | undefined;

  constructor(items: readonly ResolvedItem[]) {
    this.#answered = new Set(items.flatMap((item) => (isResult(item) ? [item.call_id] : [])));
  }

  read(item: ResolvedItem, param: string): void {
    switch (item.type) {
      case 'message':
        this.#addMessage(item.role, contentOf(item.content, `${param}.content`));
        break;
      case 'reasoning':
        this.#open(({ content, calls }) => content === undefined && calls.length === 0).reasoning += reasoningOf(item);
        break;
      case 'function_call':
      case 'custom_tool_call':
        this.#addCall(item);
        break;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.#addResult(item, param);
        break;
      default: // A tool that ran elsewhere: no template could show it.
    }
  }

  end(): readonly ChatMessage[] {
    this.#endTurn();
    return this.#messages;
  }

  #addMessage(role: ChatMessage['role'], content: ChatMessage['content']): void {
    if (role === 'assistant') {
      this.#open((turn) => turn.content === undefined && turn.calls.length === 0).content = content;
      return;
    }
    this.#endTurn();
    this.#messages.push({ role, content });
  }

  #addCall(item: CallItem): void {
    // It was cut off, or given up for the text that follows: the model never made it.
    if (item.status === 'incomplete' && !this.#answered.has(item.call_id)) return;
    const call = callOf(item);
    this.#callNames.set(call.id, call.name);
    this.#open(() => true).calls.push(call);
  }

  #addResult({ call_id: toolCallId, output }: ResultItem, param: string): void {
    const name = this.#callNames.get(toolCallId);
    if (name === undefined)
      throw invalidParam(`${param}.call_id`, `no tool call with call_id '${toolCallId}' comes before this output`);
    this.#endTurn();
    this.#messages.push({ role: 'tool', content: contentOf(output, `${param}.output`), name, toolCallId });
  }

  /** The assistant's turn that an item belongs to: a new one where the item cannot follow what there is. */
  #open(follows: (turn: Turn) => boolean): Turn {
    if (this.#turn !== undefined && !follows(this.#turn)) this.#endTurn();
    this.#turn ??= { reasoning: '', content: undefined, calls: [] };
    return this.#turn;
  }

  #endTurn(): void {
    if (this.#turn !== undefined) this.#messages.push(...messagesOf(this.#turn));
    this.#turn = undefined;
  }
}

const isResult = (item: ResolvedItem): item is ResultItem =>
  item.type === 'function_call_output' || item.type === 'custom_tool_call_output';

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

const callOf = (item: CallItem): ToolCall => ({
  id: item.call_id,
  name: flatName(item.name, item.namespace),
  arguments: item.type === 'custom_tool_call' ? { input: item.input } : earlierArguments(item.arguments),
});
