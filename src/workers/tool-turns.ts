/** Fits tools, their calls and their results to what a chat template can say. */
import type { ToolDefinition } from '../runtime/api.ts';
import type { TemplateMessage } from './fold-messages.ts';

/** A tool as templates see it. */
export interface TemplateTool {
  readonly type: 'function';
  readonly function: ToolDefinition;
}

/** A call as templates see it. */
export interface TemplateToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> | string };
}

/** How a template wants a message that calls tools. */
export interface CallForm {
  /** Ids of nine letters and digits. */
  readonly shortIds: boolean;
  /** Arguments as JSON text rather than an object. */
  readonly textArguments: boolean;
  /** `none` rather than an empty text beside the calls. */
  readonly nullContent: boolean;
}

/** What a template was seen to render of tools. */
export interface ToolAbilities {
  /** `complete`: with descriptions and parameters only. */
  readonly definitions: 'any' | 'complete' | 'none';
  /** Absent: the template leaves calls out. */
  readonly calls: CallForm | undefined;
  readonly results: boolean;
  /** Several calls in one message. */
  readonly parallelCalls: boolean;
  /** The variable `thinking` beside calls: with the message's text, only without it, or not at all. */
  readonly thinking: 'beside text' | 'without text' | 'none';
}

const SHORT_ID = /^[A-Za-z0-9]{9}$/;

/**
 * - Several calls in one message become a message each, with its results after it, where the template takes one.
 * - Calls that the template leaves out become text: `<tool_call>` tags around JSON, as Hermes and Qwen have them.
 * - Ids, arguments, thinking and empty texts take the form that the template wants.
 */
export const fitToolTurns = (
  messages: readonly TemplateMessage[],
  { calls, parallelCalls, thinking }: ToolAbilities,
): readonly TemplateMessage[] => {
  if (calls === undefined) return messages.map(callsAsText);
  const separate = parallelCalls ? messages : separateCalls(messages);
  const ids = new Map<string, string>();
  const shortId = (id: string): string => {
    if (!calls.shortIds || SHORT_ID.test(id)) return id;
    const known = ids.get(id) ?? String(ids.size + 1).padStart(9, '0');
    ids.set(id, known);
    return known;
  };
  return separate.map((message) => {
    if (message.tool_call_id !== undefined) return { ...message, tool_call_id: shortId(message.tool_call_id) };
    if (message.tool_calls === undefined) return message;
    const thoughtful = thinking === 'none' ? message : withThinking(message, thinking);
    const tool_calls = message.tool_calls.map((call) => inForm({ ...call, id: shortId(call.id) }, calls));
    return {
      ...thoughtful,
      tool_calls,
      content: thoughtful.content === '' && calls.nullContent ? null : thoughtful.content,
    };
  });
};

/** Fills in what a template insists on: descriptions, and parameters. */
export const completeTool = (tool: TemplateTool): TemplateTool => {
  const { name, description = '', parameters = { type: 'object', properties: {} } } = tool.function;
  const properties = Object.entries(Object(parameters.properties)).map(([key, schema]) => [
    key,
    typeof schema !== 'object' || schema === null || 'description' in schema ? schema : { ...schema, description: '' },
  ]);
  return {
    ...tool,
    function: { name, description, parameters: { ...parameters, properties: Object.fromEntries(properties) } },
  };
};

const inForm = (call: TemplateToolCall, { textArguments }: CallForm): TemplateToolCall =>
  textArguments ? { ...call, function: { ...call.function, arguments: argumentsText(call) } } : call;

const argumentsText = ({ function: { arguments: given } }: TemplateToolCall): string =>
  typeof given === 'string' ? given : spacedJson(given);

/** As Python writes JSON: models were trained on that. */
const spacedJson = (value: unknown): string =>
  JSON.stringify(value, undefined, 1)
    .replace(/([[{])\n\s*/g, '$1')
    .replace(/\n\s*([\]}])/g, '$1')
    .replace(/\n\s*/g, ' ');

const withThinking = (message: TemplateMessage, thinking: 'beside text' | 'without text'): TemplateMessage => {
  const { reasoning_content: reasoning, ...rest } = message;
  if (reasoning === undefined) return message;
  if (thinking === 'beside text' || !message.content) return { ...rest, thinking: reasoning };
  return { ...rest, thinking: `${reasoning}\n\n${message.content}`, content: '' };
};

const callsAsText = (message: TemplateMessage): TemplateMessage => {
  const { tool_calls: calls, ...rest } = message;
  if (calls === undefined) return message;
  const texts = calls.map(
    (call) =>
      `<tool_call>\n{"name": ${JSON.stringify(call.function.name)}, "arguments": ${argumentsText(call)}}\n</tool_call>`,
  );
  return { ...rest, content: [message.content ?? '', ...texts].filter((text) => text !== '').join('\n') };
};

/** The first message keeps the text and the thinking. Results of unknown calls stay after the last one. */
const separateCalls = (messages: readonly TemplateMessage[]): TemplateMessage[] => {
  const separate: TemplateMessage[] = [];
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]!;
    const calls = message.tool_calls ?? [];
    if (calls.length < 2) {
      separate.push(message);
      continue;
    }
    const end = messages.findIndex(({ role }, later) => later > index && role !== 'tool');
    const results = new Set(messages.slice(index + 1, end < 0 ? messages.length : end));
    index += results.size;
    for (const [number, call] of calls.entries()) {
      separate.push(
        number === 0 ? { ...message, tool_calls: [call] } : { role: 'assistant', content: '', tool_calls: [call] },
      );
      for (const result of results) {
        if (result.tool_call_id !== call.id) continue;
        separate.push(result);
        results.delete(result);
      }
    }
    separate.push(...results);
  }
  return separate;
};
