/** The events of Anthropic's stream, in the order in which they come. */
import { z } from 'zod';
import { anthropicError } from './errors.ts';
import { messageContentBlock, messageDeltaUsage, messageHead, messageUsage, stopFields, warnings } from './message.ts';

const index = z.int().min(0).describe('Of the block: 0, 1, 2, …, one open at a time.');

export const startedMessage = z
  .object({
    ...messageHead,
    content: z.array(messageContentBlock).max(0),
    stop_reason: z.null(),
    stop_sequence: z.null(),
    stop_details: z.null(),
    container: z.null(),
    usage: messageUsage,
  })
  .describe('A message before anything of it has been made. Its usage tells what of the prompt was cached.');

export const messageStartEvent = z.object({ type: z.literal('message_start'), message: startedMessage });

export const pingEvent = z.object({ type: z.literal('ping') }).describe('Keeps a silent stream alive.');

export const blockStartEvent = z.object({
  type: z.literal('content_block_start'),
  index,
  content_block: messageContentBlock.describe('The block with nothing in it yet.'),
});

export const blockDelta = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text_delta'), text: z.string() }),
  z.object({ type: z.literal('thinking_delta'), thinking: z.string() }),
  z.object({ type: z.literal('signature_delta'), signature: z.string() }),
  z.object({ type: z.literal('input_json_delta'), partial_json: z.string() }),
]);

export const blockDeltaEvent = z.object({ type: z.literal('content_block_delta'), index, delta: blockDelta });

export const blockStopEvent = z.object({ type: z.literal('content_block_stop'), index });

export const messageDeltaEvent = z.object({
  type: z.literal('message_delta'),
  delta: z.object(stopFields),
  usage: messageDeltaUsage,
  warnings,
});

export const messageStopEvent = z.object({ type: z.literal('message_stop') });

export const messageStreamEvent = z
  .discriminatedUnion('type', [
    messageStartEvent,
    pingEvent,
    blockStartEvent,
    blockDeltaEvent,
    blockStopEvent,
    messageDeltaEvent,
    messageStopEvent,
    anthropicError,
  ])
  .describe('One event of the stream, whose name is its type. `message_stop` or an error is the last.');
