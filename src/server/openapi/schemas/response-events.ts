/** The events of a response, in the order in which they come. */
import { z } from 'zod';
import { responseObject } from './response.ts';
import { outputItem, outputText, reasoningText, summaryText } from './response-items.ts';
import { tokenLogprob } from './usage.ts';

const event = {
  sequence_number: z.int().min(0).describe('0, 1, 2, … without gaps.'),
  stream_id: z.string().optional().describe('Over a WebSocket alone: the lane that the request named.'),
};
const inItem = { ...event, item_id: z.string(), output_index: z.int().min(0) };
const inPart = { ...inItem, content_index: z.literal(0) };
const inSummary = { ...inItem, summary_index: z.literal(0) };

export const responseStateEvent = z
  .object({
    type: z.enum([
      'response.created',
      'response.in_progress',
      'response.completed',
      'response.incomplete',
      'response.failed',
    ]),
    ...event,
    response: responseObject,
  })
  .describe('The first two begin a stream; one of the others ends it.');

export const responseItemEvent = z.object({
  type: z.enum(['response.output_item.added', 'response.output_item.done']),
  ...event,
  output_index: z.int().min(0),
  item: outputItem,
});

export const responsePartEvent = z.object({
  type: z.enum(['response.content_part.added', 'response.content_part.done']),
  ...inPart,
  part: z.discriminatedUnion('type', [outputText, reasoningText]),
});

export const responseTextDeltaEvent = z.object({
  type: z.literal('response.output_text.delta'),
  ...inPart,
  delta: z.string(),
  logprobs: z.array(tokenLogprob),
});

export const responseTextDoneEvent = z.object({
  type: z.literal('response.output_text.done'),
  ...inPart,
  text: z.string(),
  logprobs: z.array(tokenLogprob),
});

export const responseReasoningDeltaEvent = z.object({
  type: z.literal('response.reasoning_text.delta'),
  ...inPart,
  delta: z.string(),
});

export const responseReasoningDoneEvent = z.object({
  type: z.literal('response.reasoning_text.done'),
  ...inPart,
  text: z.string(),
});

export const responseSummaryPartEvent = z.object({
  type: z.enum(['response.reasoning_summary_part.added', 'response.reasoning_summary_part.done']),
  ...inSummary,
  part: summaryText,
});

export const responseSummaryDeltaEvent = z.object({
  type: z.literal('response.reasoning_summary_text.delta'),
  ...inSummary,
  delta: z.string(),
});

export const responseSummaryDoneEvent = z.object({
  type: z.literal('response.reasoning_summary_text.done'),
  ...inSummary,
  text: z.string(),
});

export const responseArgumentsDeltaEvent = z.object({
  type: z.literal('response.function_call_arguments.delta'),
  ...inItem,
  delta: z.string(),
});

export const responseArgumentsDoneEvent = z.object({
  type: z.literal('response.function_call_arguments.done'),
  ...inItem,
  name: z.string(),
  arguments: z.string(),
});

export const responseInputDeltaEvent = z.object({
  type: z.literal('response.custom_tool_call_input.delta'),
  ...inItem,
  delta: z.string(),
});

export const responseInputDoneEvent = z.object({
  type: z.literal('response.custom_tool_call_input.done'),
  ...inItem,
  input: z.string(),
});

export const responseKeepaliveEvent = z
  .object({ type: z.literal('keepalive'), ...event })
  .describe('Keeps a silent stream alive.');

export const responseStreamEvent = z
  .discriminatedUnion('type', [
    responseStateEvent,
    responseItemEvent,
    responsePartEvent,
    responseTextDeltaEvent,
    responseTextDoneEvent,
    responseReasoningDeltaEvent,
    responseReasoningDoneEvent,
    responseSummaryPartEvent,
    responseSummaryDeltaEvent,
    responseSummaryDoneEvent,
    responseArgumentsDeltaEvent,
    responseArgumentsDoneEvent,
    responseInputDeltaEvent,
    responseInputDoneEvent,
    responseKeepaliveEvent,
  ])
  .describe('One event of the stream, whose name is its type. The last one is followed by `data: [DONE]`.');
