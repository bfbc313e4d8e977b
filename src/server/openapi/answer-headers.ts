/** Headers that mean something here, in requests and in answers. */
import type { AnswerHeader, RequestHeader } from '../operation.ts';

const TEXT = { type: 'string' };

/** Every answer has the first two; the vendors' routes of OpenAI's kind have the next two. */
export const ANSWER_HEADERS = {
  'x-request-id': {
    description: "The answer's number in the log: quote it when something is wrong.",
    required: true,
    schema: TEXT,
  },
  'request-id': { description: 'The same, as Anthropic calls it.', required: true, schema: TEXT },
  'openai-version': { description: 'The version of the API that is spoken.', schema: TEXT },
  'openai-processing-ms': {
    description: "From the request's arrival to the answer's head.",
    schema: { type: 'string', pattern: '^\\d+$' },
  },
  'retry-after': {
    description: 'Seconds after which a retry may succeed.',
    schema: { type: 'string', pattern: '^\\d+$' },
  },
  'x-firstlight-cache': {
    description:
      'What the cache had of the prompt: `hit=96; computed=12; tier=pool+disk; reason=new`. At the head of a stream ' +
      'perhaps only what was there when the request came: `lookup=96; tier=pool`.',
    schema: TEXT,
  },
  'x-firstlight-stream': {
    description: 'Names a stream that can be taken up again; its events are numbered then.',
    schema: TEXT,
  },
  etag: { description: 'Of the content: the header `if-none-match` with it is answered with 304.', schema: TEXT },
  'content-disposition': { description: 'A name for the file.', schema: TEXT },
} satisfies Readonly<Record<AnswerHeader, object>> & Readonly<Record<string, object>>;

export type AnswerHeaderName = keyof typeof ANSWER_HEADERS;

export const REQUEST_HEADERS: Readonly<Record<RequestHeader, { description: string; schema: object }>> = {
  'x-session-id': {
    description: 'Names the conversation that the request belongs to: its KV is kept for the next one.',
    schema: { type: 'string', minLength: 1, maxLength: 512 },
  },
  'x-agent-id': {
    description: 'The same; x-session-id counts before it.',
    schema: { type: 'string', minLength: 1, maxLength: 512 },
  },
  'x-firstlight-resume': {
    description: '1: the stream can be taken up again under /v1/streams when its connection is lost.',
    schema: { type: 'string', enum: ['1'] },
  },
  'last-event-id': {
    description: 'The number of the last event that arrived; absent: from the beginning.',
    schema: { type: 'string', pattern: '^\\d{0,15}$' },
  },
  'anthropic-version': {
    description: "A date. It makes the errors of routes that both vendors have Anthropic's.",
    schema: TEXT,
  },
};
