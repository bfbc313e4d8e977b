/** Tools of a request, whatever dialect it speaks: what one is, and which of them may be called. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { ToolChoice, ToolDefinition } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { invalidParam, optional } from './body-schema.ts';

/** Names stand between the tags of the models' formats: no quote, bracket or space can be in one. */
const NAME = /^[\p{L}\p{N}_.:/-]{1,256}$/u;

export const toolName = z.string().regex(NAME, {
  error: 'must be 1 to 256 letters, digits or characters of _ . : / -',
});

export const jsonObject = z.record(z.string(), z.unknown());

/** What every dialect says of a tool, under names of its own. */
export const toolFields = {
  name: toolName,
  description: optional(z.string()),
  strict: optional(z.boolean()),
};

interface ToolBody {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly strict?: boolean | null | undefined;
}

/** @param parameters JSON Schema of the arguments */
export const toolDefinition = (
  { name, description, strict }: ToolBody,
  parameters: Readonly<Record<string, unknown>> | null | undefined,
): ToolDefinition => ({
  name,
  ...(typeof description === 'string' ? { description } : {}),
  ...(parameters ? { parameters } : {}),
  ...(strict ? { strict } : {}),
});

/** Each tool once. @throws EngineError invalid_request when two that differ have one name */
export const uniqueTools = (tools: readonly ToolDefinition[], param = 'tools'): readonly ToolDefinition[] => {
  const byName = new Map<string, ToolDefinition>();
  for (const tool of tools) {
    const known = byName.get(tool.name);
    if (known !== undefined && !isDeepStrictEqual(known, tool))
      throw invalidParam(param, `names must be unique, and '${tool.name}' names two tools that differ`);
    byName.set(tool.name, tool);
  }
  return [...byName.values()];
};

/** How the engine names a tool whose schema it refuses: `tools["name"]`. */
const REFUSED_TOOL = /^tools\[("(?:[^"\\]|\\.)*")\]/;

/**
 * An error about a tool's schema with the field that has the schema, and OpenAI's code; any other error as it is.
 * @param fields by the tool's name
 */
export const atToolSchema = (error: EngineError, fields: ReadonlyMap<string, string>): EngineError => {
  const [prefix, quoted] = REFUSED_TOOL.exec(error.details.param ?? '') ?? [];
  if (prefix === undefined || quoted === undefined) return error;
  const name = JSON.parse(quoted) as string;
  const param = fields.get(name);
  if (param === undefined || !error.message.startsWith(prefix)) return error;
  const message = `${param}: invalid schema for function '${name}'${error.message.slice(prefix.length)}`;
  const details = { ...error.details, param, reason: 'invalid_function_parameters' };
  return new EngineError(error.code, message, details, { cause: error });
};

/**
 * What a request chooses, checked against its tools; undefined where it chooses what holds anyway.
 * @throws EngineError invalid_request: it names a tool that is not there, or requires one of none
 */
export const checkToolChoice = (
  { mode, names, parallel }: ToolChoice,
  tools: readonly ToolDefinition[],
  param = 'tool_choice',
): ToolChoice | undefined => {
  const unknown = names?.find((name) => !tools.some((tool) => tool.name === name));
  if (unknown !== undefined) throw invalidParam(param, `names the tool '${unknown}', which is not in tools`);
  const numCallable = names?.length ?? tools.length;
  if (mode === 'required' && numCallable === 0)
    throw invalidParam(param, 'requires a call of a tool, and none is given');
  if (tools.length === 0 || (mode === 'auto' && names === undefined && parallel)) return undefined;
  if (mode === 'none' || numCallable === 0) return { mode: 'none', parallel };
  return { mode, ...(names === undefined ? {} : { names }), parallel };
};
