/**
 * Tells of tools in messages, for models that were trained to follow such a prompt and whose template knows no tools.
 * Source: "Function calling with Gemma", ai.google.dev: definitions and the form of a call stand in the prompt, calls in
 * a block of `tool_code`, results in one of `tool_output`.
 */
import type { TemplateMessage } from './fold-messages.ts';
import type { TemplateTool, TemplateToolCall } from './tool-turns.ts';

/** Gemma's templates, of all that know no tools. */
export const wantsToolPrompt = (template: string): boolean => template.includes('<start_of_turn>');

/** The messages with all that they say of tools in their texts: instructions first, results as the user's. */
export const toolPrompt = (
  messages: readonly TemplateMessage[],
  tools: readonly TemplateTool[],
): readonly TemplateMessage[] => {
  const told = messages.map(inText);
  return tools.length === 0 ? told : [{ role: 'system', content: instructions(tools) }, ...told];
};

const block = (kind: string, text: string): string => `\`\`\`${kind}\n${text}\n\`\`\``;

const instructions = (tools: readonly TemplateTool[]): string => {
  const form = block('tool_code', '{"name": function name, "parameters": dictionary of argument name and its value}');
  const definitions = tools.map((tool) => JSON.stringify(tool.function)).join(',\n');
  return (
    'You have access to functions. If you decide to invoke any of the function(s), you MUST put it in the format of\n' +
    `${form}\n\n` +
    'You SHOULD NOT include any other text in the response if you call a function. ' +
    `Results come in a block of tool_output.\n\n[\n${definitions}\n]`
  );
};

const inText = (message: TemplateMessage): TemplateMessage => {
  const { tool_calls: calls = [], tool_call_id: _, ...rest } = message;
  const content = message.content ?? '';
  if (message.role === 'tool') return { role: 'user', content: block('tool_output', content) };
  if (calls.length === 0) return message;
  return { ...rest, content: [content, ...calls.map(callText)].filter((text) => text !== '').join('\n') };
};

const callText = ({ function: { name, arguments: given } }: TemplateToolCall): string => {
  const parameters = typeof given === 'string' ? given : JSON.stringify(given);
  return block('tool_code', `{"name": ${JSON.stringify(name)}, "parameters": ${parameters}}`);
};
