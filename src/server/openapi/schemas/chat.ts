/** OpenAI's chat completion, whole and as chunks. */
import { z } from 'zod';
import { openaiError } from './errors.ts';
import { choiceWarning, completionUsage, tokenLogprob } from './usage.ts';

const envelope = {
  id: z.string(),
  created: z.int().describe('Unix seconds.'),
  model: z.string(),
  system_fingerprint: z.string().describe('While it stays the same, a `seed` gives the same answers.'),
};
const warnings = z.array(choiceWarning).optional().describe('Absent where there is nothing to say.');

/** Clients disagree on the name, so reasoning goes out under both. */
const reasoningFields = {
  reasoning_content: z.string().optional().describe("The model's thoughts."),
  reasoning: z.string().optional().describe('The same.'),
};

export const functionCall = z
  .object({ name: z.string(), arguments: z.string().describe('JSON, perhaps cut off when the answer met a limit.') })
  .describe('A function that the model calls.');

export const chatFunctionToolCall = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: functionCall,
});

export const chatCustomToolCall = z.object({
  id: z.string(),
  type: z.literal('custom'),
  custom: z.object({ name: z.string(), input: z.string() }).describe('A tool that takes one text.'),
});

export const chatToolCall = z.discriminatedUnion('type', [chatFunctionToolCall, chatCustomToolCall]);

export const chatLogprobs = z.object({ content: z.array(tokenLogprob), refusal: z.null() });

export const chatFinishReason = z
  .enum(['stop', 'length', 'tool_calls', 'function_call'])
  .describe('`length`: a limit was met. `function_call`: the request had `functions`.');

export const chatMessage = z
  .object({
    role: z.literal('assistant'),
    content: z.string().nullable().describe('Null where there are calls and no text.'),
    refusal: z.null(),
    ...reasoningFields,
    tool_calls: z.array(chatToolCall).optional(),
    function_call: functionCall.optional().describe('Instead of tool_calls where the request has `functions`.'),
  })
  .describe("The assistant's answer.");

export const chatChoice = z.object({
  index: z.int().min(0),
  message: chatMessage,
  logprobs: chatLogprobs.nullable(),
  finish_reason: chatFinishReason,
});

export const chatCompletion = z
  .object({
    ...envelope,
    object: z.literal('chat.completion'),
    choices: z.array(chatChoice),
    usage: completionUsage,
    warnings,
  })
  .describe('The whole answer in a conversation.');

export const chatToolCallDelta = z
  .object({
    index: z.int().min(0),
    id: z.string().optional(),
    type: z.enum(['function', 'custom']).optional(),
    function: z.object({ name: z.string().optional(), arguments: z.string() }).optional(),
    custom: z.object({ name: z.string().optional(), input: z.string() }).optional(),
  })
  .describe('Id, type and name come with the first piece of a call, and never again.');

export const chatDelta = z
  .object({
    role: z.literal('assistant').optional(),
    content: z.string().optional(),
    ...reasoningFields,
    tool_calls: z.array(chatToolCallDelta).optional(),
    function_call: z.object({ name: z.string().optional(), arguments: z.string() }).optional(),
  })
  .describe('What is new: pieces of one choice joined are its message.');

export const chatChunkChoice = z.object({
  index: z.int().min(0),
  delta: chatDelta,
  logprobs: chatLogprobs.nullable(),
  finish_reason: chatFinishReason.nullable().describe('Null until the last chunk of the choice.'),
});

export const chatCompletionChunk = z
  .object({
    ...envelope,
    object: z.literal('chat.completion.chunk'),
    choices: z.array(chatChunkChoice).describe('One; none in the chunk that has the usage.'),
    usage: completionUsage
      .nullable()
      .optional()
      .describe('With `stream_options.include_usage`: null until the last chunk.'),
    warnings,
  })
  .describe('A piece of an answer in a conversation.');

export const chatStreamEvent = z
  .union([chatCompletionChunk, openaiError])
  .describe('One `data` of the stream, which ends with `data: [DONE]`, or after an error.');
