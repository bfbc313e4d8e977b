/** What the OpenAI routes share: sampling fields, model names, usage, log-probabilities, errors. */
import { z } from 'zod';
import type {
  ChosenLogprob,
  FinishReason,
  ModelDescription,
  SamplingParameters,
  TokenLogprob,
  Usage,
} from '../../runtime/api.ts';
import { EngineError, type ErrorCode } from '../../runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../../runtime/sampling.ts';
import { integer, invalidParam, optional } from './body-schema.ts';
import type { BodyHints, ErrorAnswer } from './dialect.ts';
import { requireTask } from './model-task.ts';

export const MAX_CHOICES = 128;
const MAX_STOP_STRINGS = 4;
const MAX_SEED = 2 ** 63;
/** They are looked at for every token, while all other streams wait. */
const MAX_BIASED_TOKENS = 1024;
/** JSON has no infinity; OpenAI writes this for impossible tokens. */
export const LOWEST_LOGPROB = -9999;

export const samplingFields = {
  model: z.string().min(1),
  n: optional(integer(1, MAX_CHOICES)),
  stop: optional(z.union([z.string().min(1), z.array(z.string().min(1)).max(MAX_STOP_STRINGS)])),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  // Clients draw 64 bits, of which JSON numbers keep the first 53.
  seed: optional(z.number().min(-MAX_SEED).max(MAX_SEED).multipleOf(1)),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(integer(-1)),
  min_p: optional(z.number().min(0).max(1)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().min(0.01).max(100)),
  logit_bias: optional(
    z
      .record(z.string(), z.number().min(-100).max(100))
      .refine((biases) => Object.keys(biases).length <= MAX_BIASED_TOKENS, {
        error: `must have at most ${MAX_BIASED_TOKENS} tokens`,
      }),
  ),
};

type SamplingBody = Omit<z.output<z.ZodObject<typeof samplingFields>>, 'model' | 'n'>;

/** Without the seed, which differs between the choices. */
export const samplingOf = (body: SamplingBody, model: ModelDescription): SamplingParameters => ({
  temperature: body.temperature ?? DEFAULT_SAMPLING.temperature,
  // −1 is how some clients say "all".
  topK: Math.max(body.top_k ?? DEFAULT_SAMPLING.topK, 0),
  topP: body.top_p ?? DEFAULT_SAMPLING.topP,
  minP: body.min_p ?? DEFAULT_SAMPLING.minP,
  repetitionPenalty: body.repetition_penalty ?? DEFAULT_SAMPLING.repetitionPenalty,
  presencePenalty: body.presence_penalty ?? DEFAULT_SAMPLING.presencePenalty,
  frequencyPenalty: body.frequency_penalty ?? DEFAULT_SAMPLING.frequencyPenalty,
  logitBias: Object.entries(body.logit_bias ?? {}).map(([key, bias]) => [biasedToken(key, model), bias]),
});

const biasedToken = (key: string, model: ModelDescription): number => {
  if (/^\d+$/.test(key) && Number(key) < model.vocabularySize) return Number(key);
  throw invalidParam(`logit_bias.${key}`, `must be a token id below the vocabulary's size ${model.vocabularySize}`);
};

/** Choice 0 has the request's own seed, so it says what it would say alone; the others' seeds follow from it. */
export const seedOfChoice = (seed: number, choice: number): number =>
  choice === 0 ? seed : (seed ^ Math.imul(choice, 0x9e3779b1)) >>> 0;

export const stopStrings = (stop: string | readonly string[] | null | undefined): readonly string[] =>
  typeof stop === 'string' ? [stop] : (stop ?? []);

/** @throws EngineError model_not_found; not_supported for a task that is not the model's */
export const checkModel = (name: string, model: ModelDescription, task: 'generate' | 'embed' = 'generate'): void => {
  if (name !== model.id) throw modelNotFound(name, model);
  requireTask(task, model);
};

export const modelNotFound = (name: string, model: ModelDescription): EngineError =>
  new EngineError('model_not_found', `the model '${name}' does not exist: this server has '${model.id}'`, {
    param: 'model',
  });

/** @throws EngineError not_supported @param param what the conversation is called */
export const requireChatTemplate = (model: ModelDescription, param: string): void => {
  if (model.hasChatTemplate) return;
  const message = `the model '${model.id}' has no chat template: send plain text to /v1/completions instead`;
  throw new EngineError('not_supported', message, { param });
};

export const fingerprintOf = (model: ModelDescription): string => `fp_${model.fingerprint.slice(0, 16)}`;

export const FINISH_REASONS = {
  stop: 'stop',
  tool_calls: 'tool_calls',
  stop_sequence: 'stop',
  length: 'length',
} satisfies Record<FinishReason, string>;

export const usageBody = (usage: Usage): object => ({
  prompt_tokens: usage.promptTokens,
  completion_tokens: usage.completionTokens,
  total_tokens: usage.promptTokens + usage.completionTokens,
  prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
});

/** Fields that name a session, and how long its KV is wanted. */
export const cacheFields = {
  user: optional(z.string()),
  prompt_cache_key: optional(z.string()),
  prompt_cache_retention: optional(z.string()),
};

const RETENTION_SECONDS = 24 * 3600;

export const cacheHintsOf = (body: z.output<z.ZodObject<typeof cacheFields>>): BodyHints => ({
  sessions: { user: body.user, prompt_cache_key: body.prompt_cache_key },
  ...(body.prompt_cache_retention === '24h' ? { pinSeconds: RETENTION_SECONDS } : {}),
});

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A token's text; one that is no whole UTF-8 is written as OpenAI does: `bytes:\xf0\x9f`. */
export const tokenText = (bytes: Uint8Array): string => {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
};

const logprobBody = (token: TokenLogprob) => ({
  token: tokenText(token.bytes),
  logprob: Math.max(token.logprob, LOWEST_LOGPROB),
  bytes: [...token.bytes],
});

export const logprobsBody = (logprobs: readonly ChosenLogprob[]): object => ({
  content: logprobs.map((chosen) => ({ ...logprobBody(chosen), top_logprobs: chosen.top.map(logprobBody) })),
  refusal: null,
});

const RETRY_AFTER_SECONDS = 1;

interface ErrorShape {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly isRetryable?: true;
}

const invalid = (status: number, code: string | null): ErrorShape => ({ status, type: 'invalid_request_error', code });
const failed = (status: number, code: string | null): ErrorShape => ({ status, type: 'server_error', code });
const busy = (code: string): ErrorShape => ({ ...failed(503, code), isRetryable: true });

const ERRORS = {
  invalid_request: invalid(400, null),
  context_length_exceeded: invalid(400, 'context_length_exceeded'),
  unauthorized: invalid(401, 'invalid_api_key'),
  forbidden: invalid(403, 'forbidden'),
  not_found: invalid(404, 'unknown_url'),
  method_not_allowed: invalid(405, 'method_not_allowed'),
  model_not_found: invalid(404, 'model_not_found'),
  conflict: invalid(409, 'conflict'),
  request_too_large: invalid(413, 'request_too_large'),
  unsupported_media_type: invalid(415, 'unsupported_media_type'),
  not_supported: invalid(400, 'unsupported_parameter'),
  overloaded: { status: 429, type: 'rate_limit_error', code: 'rate_limit_exceeded', isRetryable: true },
  shutting_down: busy('shutting_down'),
  timeout: failed(504, 'timeout'),
  aborted: failed(499, 'aborted'),
  model_unsupported: failed(500, 'model_unsupported'),
  model_file_invalid: failed(500, 'model_file_invalid'),
  config_invalid: failed(500, 'config_invalid'),
  adapter_not_found: failed(500, 'adapter_not_found'),
  device_lost: busy('device_lost'),
  out_of_memory: busy('out_of_memory'),
  download_failed: failed(502, 'download_failed'),
  disk_full: failed(507, 'disk_full'),
  shader_invalid: failed(500, 'shader_invalid'),
  internal: failed(500, null),
} satisfies Record<ErrorCode, ErrorShape>;

/** @param promptParam the field that is to blame when the prompt is too long */
export const openaiError = (error: EngineError, promptParam = 'messages'): ErrorAnswer => {
  const shape: ErrorShape = ERRORS[error.code];
  const param = error.details.param ?? (error.code === 'context_length_exceeded' ? promptParam : null);
  const { reason, retryAfterSeconds = RETRY_AFTER_SECONDS } = error.details;
  const message = messageOf(error);
  return {
    status: shape.status,
    headers: shape.isRetryable ? { 'retry-after': String(Math.ceil(retryAfterSeconds)) } : {},
    body: {
      error: {
        message: param !== null && message.startsWith(param) ? bracketed(param) + message.slice(param.length) : message,
        type: shape.type,
        param: param && bracketed(param),
        code: reason ?? shape.code,
      },
    },
  };
};

/** Places in lists as OpenAI writes them: `messages[0].content`. The keys of two fields may be numbers, too. */
const bracketed = (param: string): string => param.replace(/(?<!^(?:logit_bias|metadata))\.(\d+)(?=\.|$)/g, '[$1]');

const messageOf = ({ code, message, details }: EngineError): string => {
  const { promptTokens, maxTokens = 0, contextLength } = details;
  if (code !== 'context_length_exceeded' || promptTokens === undefined || contextLength === undefined) return message;
  return (
    `This model's maximum context length is ${contextLength} tokens. However, you requested ` +
    `${promptTokens + maxTokens} tokens (${promptTokens} in the messages, ${maxTokens} in the completion). ` +
    'Please reduce the length of the messages or completion.'
  );
};

export const openaiHeaders = (elapsedMs: number): Readonly<Record<string, string>> => ({
  'openai-version': '2020-10-01',
  'openai-processing-ms': String(Math.round(elapsedMs)),
});
