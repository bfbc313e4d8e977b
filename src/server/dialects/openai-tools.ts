/** Tools and their choice as OpenAI's routes take them; both routes' shapes are taken on both, since clients mix them. */
import { z } from 'zod';
import type { ToolChoice, ToolDefinition } from '../../runtime/api.ts';
import { invalidParam, optional, parseBody } from './body-schema.ts';
import { customDefinition } from './custom-tool.ts';
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

/** The tools of a request that its client runs by name; all others are skipped. */
export interface ClientTools {
  readonly definitions: readonly ToolDefinition[];
  /** Names of those that take one text. */
  readonly customNames: ReadonlySet<string>;
  /** The body's fields of their schemas, by name. */
  readonly fields: ReadonlyMap<string, string>;
}

/** @throws EngineError invalid_request */
export const readTools = (tools: readonly Typed[]): ClientTools => {
  const customNames = new Set<string>();
  const fields = new Map<string, string>();
  const definitions = tools.flatMap((tool, index) => {
    const kind = kindOf(tool);
    if (kind === undefined) return [];
    const [body, place] = bodyOf(tool, kind, `tools.${index}`);
    const definition = kind === 'custom' ? readCustom(body, place) : readFunction(body, place);
    if (kind === 'custom') customNames.add(definition.name);
    // Of two that are alike, the first is meant.
    if (!fields.has(definition.name))
      fields.set(definition.name, `${place}.${kind === 'custom' ? 'format' : 'parameters'}`);
    return [definition];
  });
  return { definitions: uniqueTools(definitions), customNames, fields };
};

const KINDS = ['function', 'custom'] as const;
type Kind = (typeof KINDS)[number];

const kindOf = ({ type, function: nested }: Typed): Kind | undefined =>
  type ? KINDS.find((kind) => kind === type) : typeof nested === 'object' ? 'function' : undefined;

/** What a tool says of itself, and where: under its kind, or flat. */
const bodyOf = (tool: Typed, kind: Kind, place: string): readonly [body: unknown, place: string] =>
  'name' in tool && !(kind in tool) ? [tool, place] : [tool[kind], `${place}.${kind}`];

const grammar = z.looseObject({ syntax: optional(z.string()), definition: optional(z.string()) });
const customFields = z.object({
  name: toolFields.name,
  description: toolFields.description,
  format: optional(grammar.extend({ type: optional(z.string()), grammar: optional(grammar) })),
});

const readCustom = (body: unknown, place: string): ToolDefinition => {
  const { name, description, format } = parseBody(customFields, body, place);
  return customDefinition({ description, grammar: format?.grammar ?? format ?? undefined }, name);
};

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
  // A tool that is named is called exactly once.
  if (kindOf(choice)) return { mode: 'required', names: [nameIn(choice, 'tool_choice')], parallel: false };
  throw invalidParam(
    'tool_choice.type',
    `chooses a tool of type '${choice.type}', and only functions and custom tools can be called here`,
  );
};

const allowedTools = z.object({ mode: z.enum(['auto', 'required']), tools: z.array(typed) });

const allowed = (choice: Typed): Choice => {
  const isNested = 'allowed_tools' in choice;
  const place = isNested ? 'tool_choice.allowed_tools' : 'tool_choice';
  const { mode, tools } = parseBody(allowedTools, isNested ? choice.allowed_tools : choice, place);
  const names = tools.flatMap((tool, index) => (kindOf(tool) ? [nameIn(tool, `${place}.tools.${index}`)] : []));
  return { mode, names: [...new Set(names)] };
};

const nameIn = (tool: Typed, place: string): string => {
  const [body, where] = bodyOf(tool, kindOf(tool) ?? 'function', place);
  return parseBody(named, body, where).name;
};
