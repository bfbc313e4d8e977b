/** Anthropic's errors: one shape as a body and inside a stream. */
import { EngineError, type ErrorCode } from '../../runtime/errors.ts';
import type { ErrorAnswer } from './dialect.ts';

const RETRY_AFTER_SECONDS = 1;

interface ErrorShape {
  readonly status: number;
  readonly type: string;
  readonly isRetryable?: true;
}

const invalid = (status: number): ErrorShape => ({ status, type: 'invalid_request_error' });
const FAILED: ErrorShape = { status: 500, type: 'api_error' };
const RETRYABLE: ErrorShape = { status: 503, type: 'api_error', isRetryable: true };

const ERRORS = {
  invalid_request: invalid(400),
  context_length_exceeded: invalid(400),
  unauthorized: { status: 401, type: 'authentication_error' },
  forbidden: { status: 403, type: 'permission_error' },
  not_found: { status: 404, type: 'not_found_error' },
  method_not_allowed: invalid(405),
  model_not_found: { status: 404, type: 'not_found_error' },
  conflict: { status: 409, type: 'conflict_error' },
  request_too_large: { status: 413, type: 'request_too_large' },
  unsupported_media_type: invalid(415),
  not_supported: invalid(400),
  overloaded: { status: 529, type: 'overloaded_error', isRetryable: true },
  shutting_down: { status: 503, type: 'overloaded_error', isRetryable: true },
  timeout: { status: 504, type: 'timeout_error' },
  aborted: { status: 499, type: 'api_error' },
  model_unsupported: FAILED,
  model_file_invalid: FAILED,
  config_invalid: FAILED,
  adapter_not_found: FAILED,
  device_lost: RETRYABLE,
  out_of_memory: RETRYABLE,
  download_failed: { status: 502, type: 'api_error' },
  disk_full: { status: 507, type: 'api_error' },
  shader_invalid: FAILED,
  internal: FAILED,
} satisfies Record<ErrorCode, ErrorShape>;

interface AnthropicErrorAnswer extends ErrorAnswer {
  readonly body: {
    readonly type: 'error';
    readonly error: { readonly type: string; readonly message: string; readonly details?: object };
    readonly request_id: string;
  };
}

export const anthropicError = (error: EngineError, requestId: string): AnthropicErrorAnswer => {
  const shape: ErrorShape = ERRORS[error.code];
  const retryAfterSeconds = error.details.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
  return {
    status: shape.status,
    headers: shape.isRetryable ? { 'retry-after': String(Math.ceil(retryAfterSeconds)) } : {},
    body: {
      type: 'error',
      error: { type: shape.type, message: messageOf(error), ...detailsOf(error) },
      request_id: requestId,
    },
  };
};

/** Conversations that the server holds: the SDK's tool runner asks for them, and does without where it reads this code. */
const UNSUPPORTED_THREAD = 'thread_unsupported_request';

export const unsupportedThread = (): EngineError =>
  new EngineError('not_supported', 'thread: this server holds no conversations; send all messages, without thread', {
    param: 'thread',
    reason: UNSUPPORTED_THREAD,
  });

/** Reasons that clients act upon, where the type does not tell them; and what stands beside each. */
const TOLD_REASONS: ReadonlyMap<string, object> = new Map([
  [UNSUPPORTED_THREAD, { unsupported: [] }],
  // Of a frame on a WebSocket: the request that has the id goes on.
  ['duplicate_id', {}],
]);

const detailsOf = ({ details: { reason = '' } }: EngineError): { details?: object } => {
  const more = TOLD_REASONS.get(reason);
  return more === undefined ? {} : { details: { error_code: reason, ...more } };
};

/** Claude Code reads the two overflow sentences word by word. */
const messageOf = ({ code, message, details }: EngineError): string => {
  const { promptTokens, maxTokens, contextLength, param } = details;
  if (code === 'context_length_exceeded' && promptTokens !== undefined && contextLength !== undefined) {
    if (promptTokens > contextLength || maxTokens === undefined)
      return `prompt is too long: ${promptTokens} tokens > ${contextLength} maximum`;
    return (
      `input length and \`max_tokens\` exceed context limit: ${promptTokens} + ${maxTokens} > ${contextLength}, ` +
      'decrease input length or `max_tokens` and try again'
    );
  }
  return param === undefined || message.startsWith(param) ? message : `${param}: ${message}`;
};
