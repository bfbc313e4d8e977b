/** The form of a Qwen3-Coder call's parameters: each a tag of its own, its value by the tool's schema. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { ToolDefinition } from '../api.ts';
import { EngineError } from '../errors.ts';
import type { TagFormat } from './call-grammar.ts';
import { parameterTypes } from './schema-types.ts';

/** Say something about a string that the tags alone cannot hold it to. */
const STRING_LIMITS = ['pattern', 'minLength', 'maxLength', 'format'];
const END = '\n</parameter>\n';
const NOTHING: AnswerFormat = { type: 'const_string', value: '' };

const parameter = (name: string, content: AnswerFormat): TagFormat => ({
  type: 'tag',
  begin: `<parameter=${name}>\n`,
  content,
  end: END,
});

/**
 * Strict tools: the schema's properties in its order, optional ones or not at all. Others: any of its properties, with
 * any text.
 * @throws EngineError invalid_request: a strict schema says more than tags can hold to
 */
export const parametersFormat = (tool: ToolDefinition): AnswerFormat => {
  const { properties = {}, required = [], additionalProperties } = asObject(tool.parameters);
  const names = Object.keys(asObject(properties));
  if (!tool.strict) {
    const known = names.map((name) => parameter(name, { type: 'any_text' }));
    return known.length === 0 ? NOTHING : list(known);
  }
  if (additionalProperties !== undefined && additionalProperties !== false) {
    refuse(tool, 'additionalProperties', 'set it to false');
  }
  const isRequired = new Set(Array.isArray(required) ? required : []);
  const elements = names.map((name): AnswerFormat => {
    const format = parameter(name, valueFormat(tool, name, asObject(properties)[name]));
    return isRequired.has(name) ? format : { type: 'or', elements: [format, NOTHING] };
  });
  return elements.length === 0 ? NOTHING : { type: 'sequence', elements };
};

const list = (tags: readonly TagFormat[]): AnswerFormat => ({
  type: 'tags_with_separator',
  tags,
  separator: '',
  at_least_one: false,
  stop_after_first: false,
});

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
  const path = `tools: the parameter ${JSON.stringify(name)} of ${JSON.stringify(tool.name)}`;
  return { type: 'json_schema', json_schema: schema === true ? true : { ...rest, ...given }, path };
};

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

const refuse = (tool: ToolDefinition, keyword: string, remedy: string): never => {
  const problem = `${keyword} cannot be enforced in this model's form of calls; ${remedy}, or do not set strict`;
  throw new EngineError('invalid_request', `tools: the parameters of ${JSON.stringify(tool.name)}: ${problem}`, {
    param: 'tools',
  });
};
