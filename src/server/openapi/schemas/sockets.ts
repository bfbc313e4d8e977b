/** The frames of WebSockets: our own protocol, and OpenAI's on `/v1/responses`. */
import { z } from 'zod';
import { responsesBody } from '../../dialects/openai-responses-body.ts';
import { chatStreamEvent } from './chat.ts';
import { completionStreamEvent } from './completion.ts';
import { anthropicError, openaiError } from './errors.ts';
import { messageStreamEvent } from './message-events.ts';
import { responseStreamEvent } from './response-events.ts';

const id = z.string().min(1).max(256);
const status = z.int().describe('As HTTP would have answered.');

export const clientFrame = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('request'),
      id: id.describe('Free again once the request has ended.'),
      body: z
        .record(z.string(), z.unknown())
        .describe('As it would be posted to this path; `stream` is taken as true.'),
    }),
    z.object({ type: z.literal('cancel'), id }),
    z.object({ type: z.literal('ping') }),
  ])
  .describe('Asks on one socket for many streams, and ends one of them early.');

const serverFrame = (event: z.ZodType, error: z.ZodType) =>
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('event'), id, event }),
    z.object({ type: z.literal('done'), id }),
    z.object({ type: z.literal('error'), id: id.optional(), status, error }),
    z.object({ type: z.literal('pong') }),
  ]);

export const chatServerFrame = serverFrame(chatStreamEvent, openaiError).describe(
  'An event of the request `id`; then `done`, or `error`, ends it.',
);
export const messageServerFrame = serverFrame(messageStreamEvent, anthropicError).describe(
  'An event of the request `id`; then `done`, or `error`, ends it.',
);

export const responseCreateFrame = z
  .intersection(
    z.object({
      type: z.literal('response.create'),
      stream_id: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{1,256}$/)
        .optional()
        .describe('A lane: its requests are answered in order, beside those of other lanes.'),
    }),
    responsesBody,
  )
  .describe('`stream` is taken as true.');

export const responseErrorFrame = openaiError
  .extend({ type: z.literal('error'), status, stream_id: z.string().optional() })
  .describe('Instead of a response. The socket stays open.');

export const responseServerFrame = z.union([responseStreamEvent, responseErrorFrame]);

export const streamEvent = z
  .union([chatStreamEvent, completionStreamEvent, responseStreamEvent, messageStreamEvent])
  .describe('An event of whichever route began the stream.');
