/** The form of a Qwen3-Coder call: each parameter a tag of its own, its value by the tool's schema. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { ToolDefinition } from '../api.ts';
import { EngineError } from '../errors.ts';
import type { TagFormat } from './call-grammar.ts';
import { parameterTypes } from './schema-types.ts';

/** Say something about a string that the tags alone cannot hold it to. */
const STRING_LIMITS = ['pattern', 'minLength', 'maxLength', 'format'];
const END = '\n</parameter>';
/** Where there is nothing to say, a line break does no harm; the library has no form of nothing. */
const NOTHING: AnswerFormat = { type: 'regex', pattern: '\\n?' };

/**
 * A call of the tool. Of a strict one: the schema's properties in its order, optional ones or not at all. Of others:
 * any of its properties, with any text.
 * @throws EngineError invalid_request: a strict schema says more than tags can hold to
 */
export const xmlCall = (tool: ToolDefinition): TagFormat => {
  const names = Object.keys(asObject(asObject(tool.parameters).properties));
  const isStrict = tool.strict === true && names.length > 0;
  const content = names.length === 0 ? NOTHING : isStrict ? inOrder(tool, names) : anyOf(names);
  return {
    type: 'tag',
    begin: `<tool_call>\n<function=${tool.name}>\n`,
    content,
    end: `${isStrict ? '' : '\n'}</function>\n</tool_call>`,
  };
};

const anyOf = (names: readonly string[]): AnswerFormat => ({
  type: 'tags_with_separator',
  tags: names.map((name) => ({ type: 'tag', begin: beginOf(name), content: { type: 'any_text' }, end: END })),
  separator: '\n',
  at_least_one: false,
  stop_after_first: false,
});

const inOrder = (tool: ToolDefinition, names: readonly string[]): AnswerFormat => {
  const { properties, required, additionalProperties } = asObject(tool.parameters);
  if (additionalProperties !== undefined && additionalProperties !== false) {
    refuse(tool, 'additionalProperties', 'set it to false');
  }
  const isRequired = new Set(Array.isArray(required) ? required : []);
  const elements = names.map((name): AnswerFormat => {
    const content = valueFormat(tool, name, asObject(properties)[name]);
    const format: AnswerFormat = { type: 'tag', begin: beginOf(name), content, end: `${END}\n` };
    return isRequired.has(name) ? format : { type: 'or', elements: [format, NOTHING] };
  });
  return { type: 'sequence', elements };
};

const beginOf = (name: string): string => `<parameter=${name}>\n`;

const valueFormat = (tool: ToolDefinition, name: string, schema: unknown): AnswerFormat => {
  const types = parameterTypes(tool, name);
  const given = asObject(schema);
  if (types?.size === 1 && types.has('string')) {
    const limit = STRING_LIMITS.find((keyword) => keyword in given);
    if (limit !== undefined) refuse(tool, `properties.${name}.${limit}`, 'leave it out');
    const choices = 'const' in given ? [given.const] : given.enum;
    if (!Array.isArray(choices)) return { type: 'any_text' };
    return { type: 'or', elements: choices.map((value) => ({ type: 'const_string', value: String(value) })) };
  }
  const { $defs, definitions } = asObject(tool.parameters);
  const rest = { ...($defs === undefined ? {} : { $defs }), ...(definitions === undefined ? {} : { definitions }) };
  const path = `tools[${JSON.stringify(tool.name)}]: the parameter ${JSON.stringify(name)}`;
  return { type: 'json_schema', json_schema: schema === true ? true : { ...rest, ...given }, path };
};

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

const refuse = (tool: ToolDefinition, keyword: string, remedy: string): never => {
  const problem = `${keyword} cannot be enforced in this model's form of calls; ${remedy}, or do not set strict`;
  const param = `tools[${JSON.stringify(tool.name)}]`;
  throw new EngineError('invalid_request', `${param}: the parameters: ${problem}`, { param });
};
