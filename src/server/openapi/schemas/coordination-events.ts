/** The streams of conversations of several agents. */
import { z } from 'zod';
import {
  ballotEvent,
  endEvent,
  messageEvent,
  roundCompleteEvent,
  turnCompleteEvent,
  turnEndEvent,
  turnStartEvent,
  turnTokenEvent,
  voteCompleteEvent,
  whisperCompleteEvent,
} from './coordination.ts';
import { openaiError } from './errors.ts';

export const coordinationErrorEvent = openaiError.extend({ type: z.literal('error') });

const spoken = [turnStartEvent, turnTokenEvent, turnCompleteEvent, coordinationErrorEvent] as const;

export const turnEvent = z.union([...spoken, turnEndEvent]).describe('`turn_end` or an error is the last.');
export const roundEvent = z
  .union([...spoken, roundCompleteEvent])
  .describe('`round_complete` or an error is the last.');
export const whisperEvent = z
  .union([...spoken, whisperCompleteEvent])
  .describe('`whisper_complete` or an error is the last.');
export const voteEvent = z
  .union([ballotEvent, voteCompleteEvent, coordinationErrorEvent])
  .describe('`vote_complete` or an error is the last.');
export const messagesEvent = z.union([messageEvent, endEvent]).describe('`end` is the last.');
