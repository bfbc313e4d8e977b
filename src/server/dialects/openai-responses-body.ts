/** The body of a Responses request: what is read of it, and within which bounds. Unknown fields are ignored. */
import { z } from 'zod';
import { integer, optional, unsupportedParam } from './body-schema.ts';
import { EFFORTS } from './effort.ts';
import { cacheFields, samplingFields } from './openai.ts';
import { constraintFields, namedSchemaFields } from './output-format.ts';
import { jsonObject, toolFields } from './tools.ts';

const MAX_METADATA_PAIRS = 16;
const MAX_METADATA_KEY_LENGTH = 64;
const MAX_METADATA_VALUE_LENGTH = 512;
const MIN_OUTPUT_TOKENS = 1;
const part = z.looseObject({ type: z.string(), text: optional(z.string()), refusal: optional(z.string()) });
const content = z.union([z.string(), z.array(part)]);
const id = optional(z.string());
const callId = z.string().min(1);

/** Items of tools that run at OpenAI, or that this server never calls: a history may have them, no prompt shows them. */
export const SKIPPED_ITEMS = [
  'additional_tools',
  'apply_patch_call',
  'apply_patch_call_output',
  'code_interpreter_call',
  'compaction',
  'compaction_summary',
  'compaction_trigger',
  'computer_call',
  'computer_call_output',
  'file_search_call',
  'ghost_snapshot',
  'image_generation_call',
  'local_shell_call',
  'local_shell_call_output',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
  'mcp_list_tools',
  'program',
  'program_output',
  'shell_call',
  'shell_call_output',
  'tool_search_call',
  'tool_search_output',
  'web_search_call',
] as const;

const knownItem = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('message').default('message'),
    id,
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content,
  }),
  z.looseObject({
    type: z.literal('reasoning'),
    id,
    summary: optional(z.array(part)),
    content: optional(z.array(part)),
    encrypted_content: optional(z.string()),
  }),
  z.looseObject({
    type: z.literal('function_call'),
    id,
    call_id: callId,
    name: z.string().min(1),
    namespace: optional(z.string()),
    arguments: z.string(),
  }),
  z.looseObject({ type: z.literal('function_call_output'), id, call_id: callId, output: content }),
  z.looseObject({
    type: z.literal('custom_tool_call'),
    id,
    call_id: callId,
    name: z.string().min(1),
    namespace: optional(z.string()),
    input: z.string(),
  }),
  z.looseObject({ type: z.literal('custom_tool_call_output'), id, call_id: callId, output: content }),
  z.looseObject({ type: z.literal('item_reference').default('item_reference'), id: z.string().min(1) }),
  z.looseObject({ type: z.enum(SKIPPED_ITEMS), id }),
]);

/** The type may be left out of messages, and of references: their schemas' defaults tell so, and this tells which. */
const withType = (item: unknown): unknown => {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
  const { type, role, id } = item as Record<string, unknown>;
  if (type !== undefined && type !== null) return item;
  if (role !== undefined) return { ...item, type: 'message' };
  return id === undefined ? item : { ...item, type: 'item_reference' };
};

export const inputItem = z.preprocess(withType, knownItem);

export type InputItem = z.output<typeof knownItem>;
export type ContentPart = z.output<typeof part>;

const functionTool = z.looseObject({
  type: z.literal('function'),
  ...toolFields,
  parameters: optional(jsonObject),
});
const customTool = z.looseObject({
  type: z.literal('custom'),
  name: toolFields.name,
  description: toolFields.description,
  format: optional(z.looseObject({ type: z.string(), syntax: optional(z.string()), definition: optional(z.string()) })),
});
/** The type that a tool gets which runs at OpenAI, or is newer than this server. */
export const SKIPPED_TOOL = 'skipped';
const skippedTool = z.looseObject({ type: z.literal(SKIPPED_TOOL) });

const skipUnknown =
  (...known: readonly string[]) =>
  (tool: unknown): unknown => {
    const type: unknown = typeof tool === 'object' && tool !== null ? Reflect.get(tool, 'type') : undefined;
    return typeof type !== 'string' || known.includes(type) ? tool : { type: SKIPPED_TOOL };
  };

const namespaceTool = z.looseObject({
  type: z.literal('namespace'),
  name: z.string().min(1),
  description: optional(z.string()),
  tools: z.array(
    z.preprocess(
      skipUnknown('function', 'custom'),
      z.discriminatedUnion('type', [functionTool, customTool, skippedTool]),
    ),
  ),
});
export const tool = z.preprocess(
  skipUnknown('function', 'custom', 'namespace'),
  z.discriminatedUnion('type', [functionTool, customTool, namespaceTool, skippedTool]),
);

export type ResponsesTool = z.output<typeof tool>;
export type CallableTool = z.output<typeof functionTool> | z.output<typeof customTool>;

export const toolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.looseObject({
    type: z.string(),
    name: optional(z.string()),
    mode: optional(z.enum(['auto', 'required'])),
    tools: optional(z.array(z.looseObject({ type: z.string(), name: optional(z.string()) }))),
  }),
]);

export const textFormat = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text') }),
  z.looseObject({ type: z.literal('json_object') }),
  z.looseObject({
    type: z.literal('json_schema'),
    ...namedSchemaFields,
  }),
]);

const SUMMARIES = ['auto', 'concise', 'detailed'] as const;

/** What a count of tokens takes, too. */
const promptFields = {
  model: optional(z.string().min(1)),
  input: optional(z.union([z.string(), z.array(inputItem)])),
  instructions: optional(z.string()),
  previous_response_id: optional(z.string().min(1)),
  conversation: optional(z.unknown()),
  prompt: optional(z.unknown()),
  tools: optional(z.array(tool)),
  tool_choice: optional(toolChoice),
  parallel_tool_calls: optional(z.boolean()),
  reasoning: optional(
    z.looseObject({
      effort: optional(z.enum(EFFORTS)),
      summary: optional(z.enum(SUMMARIES)),
      generate_summary: optional(z.enum(SUMMARIES)),
    }),
  ),
  text: optional(
    z.looseObject({ format: optional(textFormat), verbosity: optional(z.enum(['low', 'medium', 'high'])) }),
  ),
  truncation: optional(z.enum(['auto', 'disabled'])),
  chat_template_kwargs: optional(jsonObject),
};

export const countBody = z.object(promptFields);

const metadata = z
  .record(
    z.string().max(MAX_METADATA_KEY_LENGTH, { error: `keys must have at most ${MAX_METADATA_KEY_LENGTH} characters` }),
    z.string().max(MAX_METADATA_VALUE_LENGTH),
  )
  .refine((pairs) => Object.keys(pairs).length <= MAX_METADATA_PAIRS, {
    error: `must have at most ${MAX_METADATA_PAIRS} pairs`,
  });

const { n: _n, model: _model, stream_options: _streamOptions, ...sampling } = samplingFields;

export const responsesBody = z.object({
  ...promptFields,
  ...sampling,
  ...cacheFields,
  ...constraintFields,
  background: optional(z.boolean()),
  /** False fills the cache and says nothing, as over a WebSocket. */
  generate: optional(z.boolean()),
  include: optional(z.array(z.string())),
  max_output_tokens: optional(integer(MIN_OUTPUT_TOKENS)),
  max_tool_calls: optional(integer(1)),
  metadata: optional(metadata),
  safety_identifier: optional(z.string()),
  service_tier: optional(z.string()),
  store: optional(z.boolean()),
  top_logprobs: optional(integer(0, 20)),
});

export type ResponsesBody = z.output<typeof responsesBody>;
export type PromptBody = z.output<typeof countBody>;

/** @throws EngineError not_supported, naming the field */
export const refuseUnsupported = (body: PromptBody): void => {
  if (isGiven(body.prompt)) throw unsupportedParam('prompt', 'prompt templates are');
  if (isGiven(body.conversation)) {
    throw unsupportedParam(
      'conversation',
      'conversations that this server keeps (previous_response_id continues a stored response) are',
    );
  }
};

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
