/** The one error class of Firstlight and its closed set of codes. Dialects map a code to a status and a body. */

export const ERROR_CODES = [
  'invalid_request',
  'context_length_exceeded',
  'unauthorized',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'model_not_found',
  'conflict',
  'request_too_large',
  'unsupported_media_type',
  'not_supported',
  'overloaded',
  'shutting_down',
  'timeout',
  'aborted',
  'model_unsupported',
  'model_file_invalid',
  'config_invalid',
  'adapter_not_found',
  'device_lost',
  'out_of_memory',
  'download_failed',
  'disk_full',
  'shader_invalid',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Facts that a dialect may want beside the message; all survive the way between threads. */
export interface ErrorDetails {
  /** The request field at fault, dotted: `messages.0.content`. */
  readonly param?: string;
  /** A finer cause of `invalid_request` for programs, in OpenAI's words: `missing_required_parameter`, `invalid_type`, … */
  readonly reason?: string;
  /** Seconds after which a retry may succeed. */
  readonly retryAfterSeconds?: number;
  /** Tokens of the prompt (`context_length_exceeded`). */
  readonly promptTokens?: number;
  /** Tokens asked for beyond the prompt (`context_length_exceeded`). */
  readonly maxTokens?: number;
  /** The model's context in tokens (`context_length_exceeded`). */
  readonly contextLength?: number;
}

/** An error whose cause is known. `message` names the value, the limit and the remedy, and is safe to send to a client. */
export class EngineError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EngineError';
    this.code = code;
    this.details = details;
  }
}

/** A structured-cloneable form of any error, for MessagePorts and worker results. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/** Turns anything thrown into a record. An unknown error becomes `internal` and keeps its message. */
export const toErrorRecord = (error: unknown): ErrorRecord =>
  error instanceof EngineError
    ? { code: error.code, message: error.message, details: error.details }
    : { code: 'internal', message: error instanceof Error ? error.message : String(error), details: {} };

export const fromErrorRecord = (record: ErrorRecord): EngineError =>
  new EngineError(record.code, record.message, record.details);

/** Anything thrown as an EngineError; one without a code becomes `internal` and keeps its message. */
export const toEngineError = (error: unknown): EngineError =>
  error instanceof EngineError
    ? error
    : new EngineError('internal', error instanceof Error ? error.message : String(error), {}, { cause: error });
