/** Tools and their choice as OpenAI's routes take them; both routes' shapes are taken on both, since clients mix them. */
import { z } from 'zod';
import type { ToolChoice, ToolDefinition } from '../../runtime/api.ts';
import { invalidParam, optional, parseBody } from './body-schema.ts';
import { checkToolChoice, jsonObject, toolDefinition, toolFields, toolName, uniqueTools } from './tools.ts';

const typed = z.looseObject({ type: optional(z.string()) });
const named = z.object({ name: toolName });
const CHOICE_MODES = ['none', 'auto', 'required'] as const;

export const toolRequestFields = {
  tools: optional(z.array(typed)),
  tool_choice: optional(z.union([z.enum(CHOICE_MODES), typed])),
  parallel_tool_calls: optional(z.boolean()),
};

type ToolRequest = z.output<z.ZodObject<typeof toolRequestFields>>;
type Typed = z.output<typeof typed>;
type Choice = Omit<ToolChoice, 'parallel'> & Partial<ToolChoice>;

const functionFields = z.object({ ...toolFields, parameters: optional(jsonObject) });

/** A function as `tools[].function`, as a flat tool, or as the older `functions` have it. */
export const readFunction = (body: unknown, place: string): ToolDefinition => {
  const { parameters, ...tool } = parseBody(functionFields, body, place);
  return toolDefinition(tool, parameters);
};

/** The fields of the functions' schemas, by name. */
export const schemaFields = (tools: readonly Typed[], place = 'tools'): ReadonlyMap<string, string> =>
  new Map(
    tools
      .flatMap((tool, index): [string, string][] => {
        const [body, field] = 'function' in tool ? [tool.function, '.function'] : [tool, ''];
        const name = Reflect.get(Object(body), 'name');
        return typeof name === 'string' ? [[name, `${place}.${index}${field}.parameters`]] : [];
      })
      // Of two that are alike, the first is meant.
      .reverse(),
  );

/** True for tools that the client runs by name; all others are skipped. */
const isFunction = ({ type, function: nested }: Typed): boolean =>
  type === 'function' || (!type && typeof nested === 'object');

/**
 * The functions among a request's tools.
 * @throws EngineError invalid_request
 */
export const readFunctions = (tools: readonly Typed[], place = 'tools'): readonly ToolDefinition[] =>
  uniqueTools(
    tools.flatMap((tool, index) => {
      if (!isFunction(tool)) return [];
      return [
        'name' in tool && !('function' in tool)
          ? readFunction(tool, `${place}.${index}`)
          : readFunction(tool.function, `${place}.${index}.function`),
      ];
    }),
    place,
  );

/** @throws EngineError invalid_request */
export const readToolChoice = (
  { tool_choice: choice, parallel_tool_calls: parallel }: ToolRequest,
  tools: readonly ToolDefinition[],
): ToolChoice | undefined => checkToolChoice({ parallel: parallel ?? true, ...chosen(choice) }, tools);

const chosen = (choice: ToolRequest['tool_choice']): Choice => {
  if (choice === null || choice === undefined) return { mode: 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  const mode = CHOICE_MODES.find((each) => each === choice.type);
  if (mode !== undefined) return { mode };
  if (choice.type === 'allowed_tools') return allowed(choice);
  if (!choice.type) throw invalidParam('tool_choice.type', 'Field required', 'missing_required_parameter');
  // A function that is named is called exactly once.
  if (choice.type === 'function') return { mode: 'required', names: [nameIn(choice, 'tool_choice')], parallel: false };
  throw invalidParam(
    'tool_choice.type',
    `chooses a tool of type '${choice.type}', and only functions can be called here`,
  );
};

const allowedTools = z.object({ mode: z.enum(['auto', 'required']), tools: z.array(typed) });

const allowed = (choice: Typed): Choice => {
  const isNested = 'allowed_tools' in choice;
  const place = isNested ? 'tool_choice.allowed_tools' : 'tool_choice';
  const { mode, tools } = parseBody(allowedTools, isNested ? choice.allowed_tools : choice, place);
  const names = tools.flatMap((tool, index) => (isFunction(tool) ? [nameIn(tool, `${place}.tools.${index}`)] : []));
  return { mode, names: [...new Set(names)] };
};

const nameIn = (tool: Typed, place: string): string =>
  'name' in tool ? parseBody(named, tool, place).name : parseBody(named, tool.function, `${place}.function`).name;
