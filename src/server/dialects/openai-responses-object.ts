/** The response object: what it repeats of the request, and what became of it. */
import type { ModelDescription, Usage } from '../../runtime/api.ts';
import type { EngineError, ErrorCode } from '../../runtime/errors.ts';
import type { Item, ResponseObject } from '../responses/response-record.ts';
import type { AnswerWarning } from './dialect.ts';
import type { ResponsesBody } from './openai-responses-body.ts';
import type { Toolbox } from './openai-responses-tools.ts';

export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';

/** What changes while the answer is made. */
export interface ResponseState {
  readonly status: ResponseStatus;
  readonly output: readonly Item[];
  readonly usage?: Usage | undefined;
  readonly error?: EngineError | undefined;
  readonly warnings?: readonly AnswerWarning[];
}

/** What every state of a response says alike. */
export interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** `previous_response_id`, `tools`, … */
  readonly repeated: Readonly<Record<string, unknown>>;
}

/** Every key that OpenAI and Open Responses have, so that no client misses one. */
export const repeatedFields = (
  body: ResponsesBody,
  model: ModelDescription,
  toolbox: Toolbox,
): Readonly<Record<string, unknown>> => ({
  access_programs: null,
  background: body.background ?? false,
  instructions: body.instructions ?? null,
  max_output_tokens: body.max_output_tokens ?? null,
  max_tool_calls: body.max_tool_calls ?? null,
  metadata: body.metadata ?? {},
  model: model.id,
  parallel_tool_calls: body.parallel_tool_calls ?? true,
  previous_response_id: body.previous_response_id ?? null,
  presence_penalty: body.presence_penalty ?? 0,
  frequency_penalty: body.frequency_penalty ?? 0,
  prompt_cache_key: body.prompt_cache_key ?? null,
  reasoning: {
    effort: body.reasoning?.effort ?? null,
    summary: body.reasoning?.summary ?? body.reasoning?.generate_summary ?? null,
  },
  safety_identifier: body.safety_identifier ?? null,
  service_tier: 'default',
  store: body.store ?? true,
  temperature: body.temperature ?? 1,
  text: { format: formatBody(body), verbosity: body.text?.verbosity ?? 'medium' },
  tool_choice: body.tool_choice ?? 'auto',
  tools: toolbox.tools,
  top_logprobs: body.top_logprobs ?? 0,
  top_p: body.top_p ?? 1,
  truncation: body.truncation ?? 'disabled',
  ...(body.user ? { user: body.user } : {}),
});

const formatBody = ({ text }: ResponsesBody): object => {
  const format = text?.format ?? { type: 'text' as const };
  if (format.type !== 'json_schema') return format;
  const { description, ...rest } = format;
  return { ...rest, ...(description ? { description } : {}), strict: format.strict ?? false };
};

export const responseObject = ({ id, createdAt, repeated }: ResponseHead, state: ResponseState): ResponseObject => {
  const { status, output, usage, error, warnings = [] } = state;
  return {
    id,
    object: 'response',
    created_at: createdAt,
    completed_at: status === 'completed' ? Math.max(createdAt, Math.floor(Date.now() / 1000)) : null,
    status,
    error: error === undefined ? null : { code: ERROR_CODES[error.code] ?? 'server_error', message: error.message },
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output,
    usage: usage === undefined ? null : usageBody(usage),
    ...repeated,
    ...(warnings.length === 0 ? {} : { warnings }),
  };
};

/** Words that Codex acts on; whatever else ends an answer early is the server's. */
const ERROR_CODES: Partial<Record<ErrorCode, string>> = {
  overloaded: 'rate_limit_exceeded',
  context_length_exceeded: 'context_length_exceeded',
};

/** Writing to the cache costs nothing here, so none of it is told apart. */
const usageBody = (usage: Usage): object => ({
  input_tokens: usage.promptTokens,
  input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
  output_tokens: usage.completionTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  total_tokens: usage.promptTokens + usage.completionTokens,
});
