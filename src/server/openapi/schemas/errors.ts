/** Errors, in the envelopes of both dialects. */
import { z } from 'zod';

export const openaiError = z
  .object({
    error: z.object({
      message: z.string().describe('Names the value, the limit and the remedy.'),
      type: z.enum(['invalid_request_error', 'rate_limit_error', 'server_error']),
      param: z.string().nullable().describe('The field at fault, dotted: `messages.0.content`.'),
      code: z.string().nullable().describe('A finer cause, for programs: `model_not_found`, `invalid_type`, …'),
    }),
  })
  .describe("An error as OpenAI's clients read it; inside a stream, too, which then ends without `[DONE]`.");

const errorTypes = [
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'not_found_error',
  'conflict_error',
  'request_too_large',
  'timeout_error',
  'overloaded_error',
  'api_error',
] as const;

export const anthropicError = z
  .object({
    type: z.literal('error'),
    error: z.object({
      type: z.enum(errorTypes),
      message: z.string().describe('Names the value, the limit and the remedy.'),
      details: z
        .object({ error_code: z.string(), unsupported: z.array(z.unknown()) })
        .optional()
        .describe('For clients that go on another way when a request is not supported.'),
    }),
    request_id: z.string().describe('The `request-id` of the answer.'),
  })
  .describe("An error as Anthropic's clients read it; inside a stream, too, which then ends.");

export const anyError = z
  .union([openaiError, anthropicError])
  .describe("OpenAI's form; Anthropic's where the request has the header `anthropic-version`.");
