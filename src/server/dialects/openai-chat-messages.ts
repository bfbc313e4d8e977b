/** The messages of a chat as OpenAI has them, as a conversation for the chat template. */
import { z } from 'zod';
import type { ChatMessage, TextPart, ToolCall } from '../../runtime/api.ts';
import { invalidParam, optional, unsupportedParam } from './body-schema.ts';
import { earlierArguments } from './call-arguments.ts';

const part = z.looseObject({ type: z.string(), text: optional(z.string()), refusal: optional(z.string()) });
const content = z.union([z.string(), z.array(part)]);
const called = z.object({ name: z.string().min(1), arguments: optional(z.unknown()) });

const toolCall = z.object({
  id: z.string().min(1),
  type: optional(z.string()),
  function: optional(called),
  custom: optional(z.object({ name: z.string().min(1), input: optional(z.unknown()) })),
});

export const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name: optional(z.string()) }),
  z.object({
    role: z.literal('assistant'),
    content: optional(content),
    name: optional(z.string()),
    refusal: optional(z.string()),
    reasoning_content: optional(z.string()),
    reasoning: optional(z.string()),
    tool_calls: optional(z.array(toolCall)),
    function_call: optional(called),
    audio: optional(z.unknown()),
  }),
  z.object({ role: z.literal('tool'), content: optional(content), tool_call_id: z.string() }),
  z.object({ role: z.literal('function'), content: optional(content), name: z.string() }),
]);

type Message = z.output<typeof message>;
type Assistant = Extract<Message, { role: 'assistant' }>;
type Content = z.output<typeof content> | null | undefined;

/** @throws EngineError invalid_request, not_supported */
export const toChatMessages = (messages: readonly Message[]): readonly ChatMessage[] => {
  const reader = new MessageReader();
  return messages.map((source, index) => reader.read(source, `messages.${index}`));
};

/** Remembers the calls so far, whose results follow. */
class MessageReader {
  readonly #calls = new Map<string, ToolCall>();

  read(source: Message, path: string): ChatMessage {
    switch (source.role) {
      case 'assistant':
        return this.#assistant(source, path);
      case 'tool':
        return this.#result(this.#calls.get(source.tool_call_id), source.content, path, `'${source.tool_call_id}'`);
      case 'function': {
        const call = [...this.#calls.values()].findLast(({ name }) => name === source.name);
        return this.#result(call, source.content, path, `of '${source.name}'`);
      }
      default:
        return {
          role: source.role,
          content: toContent(source.content, path),
          ...(source.name ? { name: source.name } : {}),
        };
    }
  }

  #assistant(source: Assistant, path: string): ChatMessage {
    if (source.audio) throw unsupportedParam(`${path}.audio`, 'audio is');
    const toolCalls = callsOf(source, path);
    for (const call of toolCalls) this.#calls.set(call.id, call);
    const reasoning = source.reasoning_content ?? source.reasoning;
    return {
      role: 'assistant',
      content: toContent(source.content ?? source.refusal, path),
      ...(reasoning ? { reasoning } : {}),
      ...(source.name ? { name: source.name } : {}),
      ...(toolCalls.length > 0 ? { toolCalls } : {}),
    };
  }

  #result(call: ToolCall | undefined, content: Content, path: string, what: string): ChatMessage {
    if (call === undefined)
      throw invalidParam(`${path}.role`, `a result must follow the assistant's call, and no call ${what} comes before`);
    return { role: 'tool', content: toContent(content, path), name: call.name, toolCallId: call.id };
  }
}

const callsOf = ({ tool_calls: calls, function_call: single }: Assistant, path: string): readonly ToolCall[] => {
  if (calls && calls.length > 0) return calls.map((call, index) => toCall(call, `${path}.tool_calls.${index}`));
  // The older form has no ids: a message has one call, and its place names it.
  return single ? [{ id: `call_${path}`, name: single.name, arguments: earlierArguments(single.arguments) }] : [];
};

const toCall = ({ id, function: called, custom }: z.output<typeof toolCall>, path: string): ToolCall => {
  if (called) return { id, name: called.name, arguments: earlierArguments(called.arguments) };
  if (custom) return { id, name: custom.name, arguments: { input: custom.input } };
  throw invalidParam(`${path}.function`, 'Field required', 'missing_required_parameter');
};

const toContent = (content: Content, path: string): ChatMessage['content'] =>
  Array.isArray(content) ? textParts(content, `${path}.content`) : (content ?? '');

/** Parts with a text; the Responses' kinds come from clients that mix both. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'input_text', 'output_text']);

const textParts = (parts: readonly z.output<typeof part>[], path: string): readonly TextPart[] =>
  parts.map(({ type, text, refusal }, index) => {
    const isText = TEXT_TYPES.has(type);
    const value = isText ? text : type === 'refusal' ? refusal : undefined;
    if (value !== undefined && value !== null) return { type: 'text', text: value };
    if (isText || type === 'refusal') {
      const field = isText ? 'text' : 'refusal';
      throw invalidParam(`${path}.${index}.${field}`, 'Field required', 'missing_required_parameter');
    }
    throw unsupportedParam(`${path}.${index}.type`, `content parts of type '${type}' are`);
  });
