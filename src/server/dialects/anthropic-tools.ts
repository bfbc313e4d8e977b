/** Tools and their choice as Anthropic's routes take them. */
import { z } from 'zod';
import type { ToolChoice, ToolDefinition } from '../../runtime/api.ts';
import { cacheMark } from './anthropic-cache.ts';
import { optional, parseBody } from './body-schema.ts';
import { checkToolChoice, jsonObject, toolDefinition, toolFields, uniqueTools } from './tools.ts';

const typed = z.looseObject({ ...cacheMark, type: optional(z.string()) });
const disable_parallel_tool_use = optional(z.boolean());

export const toolRequestFields = {
  tools: optional(z.array(typed)),
  tool_choice: optional(
    z.discriminatedUnion('type', [
      z.object({ type: z.enum(['auto', 'any']), disable_parallel_tool_use }),
      z.object({ type: z.literal('tool'), name: z.string(), disable_parallel_tool_use }),
      z.object({ type: z.literal('none') }),
    ]),
  ),
};

type ToolRequest = z.output<z.ZodObject<typeof toolRequestFields>>;

const clientTool = z.object({ ...toolFields, input_schema: jsonObject });

/**
 * The tools that the client runs. Those with a type of their own are Anthropic's; they are skipped, as everywhere else.
 * @throws EngineError invalid_request
 */
export const readTools = ({ tools }: ToolRequest): readonly ToolDefinition[] =>
  uniqueTools(
    (tools ?? []).flatMap((tool, index) => {
      if (tool.type && tool.type !== 'custom') return [];
      const { input_schema: parameters, ...rest } = parseBody(clientTool, tool, `tools.${index}`);
      return [toolDefinition(rest, parameters)];
    }),
  );

/** @throws EngineError invalid_request */
export const readToolChoice = (
  { tool_choice: choice }: ToolRequest,
  tools: readonly ToolDefinition[],
): ToolChoice | undefined => {
  if (!choice) return undefined;
  if (choice.type === 'none') return checkToolChoice({ mode: 'none', parallel: true }, tools);
  const parallel = choice.disable_parallel_tool_use !== true;
  if (choice.type === 'auto') return checkToolChoice({ mode: 'auto', parallel }, tools);
  const names = choice.type === 'tool' ? { names: [choice.name] } : {};
  return checkToolChoice({ mode: 'required', ...names, parallel }, tools);
};
