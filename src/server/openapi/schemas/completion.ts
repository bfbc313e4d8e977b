/** OpenAI's legacy completion, whole and as chunks. */
import { z } from 'zod';
import { openaiError } from './errors.ts';
import { completionUsage } from './usage.ts';

const envelope = {
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int().describe('Unix seconds.'),
  model: z.string(),
  system_fingerprint: z.string().describe('While it stays the same, a `seed` gives the same answers.'),
};

export const completionLogprobs = z
  .object({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number().nullable()).describe('Null for the first token of an echoed prompt.'),
    top_logprobs: z
      .array(z.record(z.string(), z.number()).nullable())
      .describe('The chosen token is always among them. Null for the first token of an echoed prompt.'),
    text_offset: z.array(z.int()).describe("Unicode characters from the beginning of the choice's text."),
  })
  .describe('One entry of each list for each token.');

const finishReason = z.enum(['stop', 'length']);

const choice = {
  index: z.int().min(0),
  text: z.string(),
  logprobs: completionLogprobs.nullable(),
};

export const completionChoice = z.object({ ...choice, finish_reason: finishReason });

export const completionChunkChoice = z.object({
  ...choice,
  finish_reason: finishReason.nullable().describe('Null until the last chunk of the choice.'),
});

export const completion = z
  .object({ ...envelope, choices: z.array(completionChoice), usage: completionUsage })
  .describe('The whole continuation of a text.');

export const completionChunk = z
  .object({
    ...envelope,
    choices: z.array(completionChunkChoice).describe('One; none in the chunk that has the usage.'),
    usage: completionUsage
      .nullable()
      .optional()
      .describe('With `stream_options.include_usage`: null until the last chunk.'),
  })
  .describe('A piece of the continuation of a text.');

export const completionStreamEvent = z
  .union([completionChunk, openaiError])
  .describe('One `data` of the stream, which ends with `data: [DONE]`, or after an error.');
