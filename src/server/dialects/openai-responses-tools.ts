/** Tools of a Responses request: namespaces flattened, custom tools as functions of one text, all others skipped. */
import type { ToolChoice, ToolDefinition } from '../../runtime/api.ts';
import { invalidParam } from './body-schema.ts';
import { customDefinition } from './custom-tool.ts';
import type { CallableTool, PromptBody, ResponsesTool } from './openai-responses-body.ts';
import { checkToolChoice, toolDefinition, uniqueTools } from './tools.ts';

/** What the client calls a tool that the model knows under one flat name. */
export interface ToolName {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly namespace?: string;
}

export interface Toolbox {
  readonly definitions: readonly ToolDefinition[];
  /** By the model's name of the tool. */
  readonly names: ReadonlyMap<string, ToolName>;
  /** The body's fields of their schemas, by the model's name. */
  readonly fields: ReadonlyMap<string, string>;
  /** As the response repeats them: those that can be called. */
  readonly tools: readonly object[];
}

const SEPARATOR = '__';

/** The one name of a tool in a namespace, in definitions and in earlier calls alike. */
export const flatName = (name: string, namespace?: string | null): string => {
  if (!namespace) return name;
  return namespace.endsWith(SEPARATOR) ? `${namespace}${name}` : `${namespace}${SEPARATOR}${name}`;
};

/** @throws EngineError invalid_request for two tools of one name */
export const openToolbox = (tools: readonly ResponsesTool[]): Toolbox => {
  const definitions: ToolDefinition[] = [];
  const names = new Map<string, ToolName>();
  const fields = new Map<string, string>();
  const add = (tool: CallableTool, place: string, namespace?: string): void => {
    const name = flatName(tool.name, namespace);
    if (!fields.has(name)) fields.set(name, `${place}.${tool.type === 'custom' ? 'format.definition' : 'parameters'}`);
    names.set(name, { kind: tool.type, name: tool.name, ...(namespace === undefined ? {} : { namespace }) });
    definitions.push(
      tool.type === 'custom'
        ? customDefinition({ ...tool, grammar: tool.format ?? undefined }, name)
        : toolDefinition({ ...tool, name }, tool.parameters),
    );
  };
  for (const [index, tool] of tools.entries()) {
    const place = `tools.${index}`;
    if (tool.type === 'function' || tool.type === 'custom') add(tool, place);
    else if (tool.type === 'namespace') {
      for (const [innerIndex, inner] of tool.tools.entries())
        if (inner.type !== 'skipped') add(inner, `${place}.tools.${innerIndex}`, tool.name);
    }
  }
  return { definitions: uniqueTools(definitions), names, fields, tools: tools.flatMap(toolBody) };
};

/** OpenAI's response repeats every key of a function. */
const toolBody = (tool: ResponsesTool): object[] => {
  if (tool.type === 'skipped') return [];
  if (tool.type === 'namespace') return [{ ...tool, tools: tool.tools.filter(({ type }) => type !== 'skipped') }];
  if (tool.type === 'custom') return [tool];
  const { description = null, parameters = null, strict = false } = tool;
  return [{ ...tool, description, parameters, strict: strict ?? false }];
};

/** @throws EngineError invalid_request when the choice asks for a tool that is not there */
export const toolChoiceOf = (body: PromptBody, { definitions, names }: Toolbox): ToolChoice | undefined =>
  checkToolChoice({ parallel: body.parallel_tool_calls ?? true, ...chosen(body.tool_choice, names) }, definitions);

const chosen = (
  choice: PromptBody['tool_choice'],
  names: ReadonlyMap<string, ToolName>,
): Omit<ToolChoice, 'parallel'> & Partial<ToolChoice> => {
  if (choice === undefined || choice === null) return { mode: 'auto' };
  if (typeof choice === 'string') return { mode: choice };
  if (choice.type === 'allowed_tools') {
    const allowed = (choice.tools ?? []).flatMap(({ type, ...tool }, index) =>
      isCallable(type) ? [flatNameOf(tool, names, `tool_choice.tools.${index}.name`)] : [],
    );
    return { mode: choice.mode ?? 'auto', names: [...new Set(allowed)] };
  }
  // A tool that is named is called exactly once.
  if (isCallable(choice.type))
    return { mode: 'required', names: [flatNameOf(choice, names, 'tool_choice.name')], parallel: false };
  throw invalidParam(
    'tool_choice.type',
    `chooses a tool of type '${choice.type}', and only functions and custom tools can be called here`,
  );
};

const isCallable = (type: string): boolean => type === 'function' || type === 'custom';

/** A tool in a namespace may be named with it or, where that is clear, without. */
const flatNameOf = (
  { name, namespace }: { name?: string | null | undefined; namespace?: unknown },
  names: ReadonlyMap<string, ToolName>,
  param: string,
): string => {
  if (!name) throw invalidParam(param, 'Field required', 'missing_required_parameter');
  if (typeof namespace === 'string') return flatName(name, namespace);
  const [first, second] = [...names].filter(([, tool]) => tool.name === name);
  return names.has(name) || first === undefined || second !== undefined ? name : first[0];
};
