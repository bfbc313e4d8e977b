/** OpenAI's response object, and what the routes of stored responses answer. */
import { z } from 'zod';
import { EFFORTS } from '../../dialects/effort.ts';
import { inputItem, textFormat, tool, toolChoice } from '../../dialects/openai-responses-body.ts';
import { outputItem } from './response-items.ts';
import { answerWarning, tokens } from './usage.ts';

export const responseUsage = z.object({
  input_tokens: tokens,
  input_tokens_details: z.object({
    cached_tokens: tokens.describe('Input tokens whose KV was in the cache.'),
    cache_write_tokens: tokens.describe('Always 0: writing to the cache costs nothing here.'),
  }),
  output_tokens: tokens.describe('Reasoning included.'),
  output_tokens_details: z.object({ reasoning_tokens: tokens }),
  total_tokens: tokens,
});

export const responseError = z
  .object({
    code: z.enum(['server_error', 'rate_limit_exceeded', 'context_length_exceeded']),
    message: z.string(),
  })
  .describe('Why the answer ended early.');

/** Of the request, or what holds where it says nothing. */
const repeated = {
  access_programs: z.null(),
  background: z.boolean(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  max_tool_calls: z.int().nullable(),
  metadata: z.record(z.string(), z.string()),
  model: z.string(),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.string().nullable(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  prompt_cache_key: z.string().nullable(),
  reasoning: z.object({
    effort: z.enum(EFFORTS).nullable(),
    summary: z.enum(['auto', 'concise', 'detailed']).nullable(),
  }),
  safety_identifier: z.string().nullable(),
  service_tier: z.literal('default'),
  store: z.boolean().describe('Whether it is stored, in the end: false as well where storing failed.'),
  temperature: z.number(),
  text: z.object({ format: textFormat, verbosity: z.enum(['low', 'medium', 'high']) }),
  tool_choice: toolChoice,
  tools: z.array(tool).describe('Those that can be called.'),
  top_logprobs: z.int(),
  top_p: z.number(),
  truncation: z.enum(['auto', 'disabled']),
  user: z.string().optional(),
};

export const responseObject = z
  .object({
    id: z.string(),
    object: z.literal('response'),
    created_at: z.int().describe('Unix seconds.'),
    completed_at: z.int().nullable().describe('Unix seconds.'),
    status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
    error: responseError.nullable(),
    incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
    output: z.array(outputItem),
    usage: responseUsage.nullable().describe('Null until the end.'),
    ...repeated,
    warnings: z.array(answerWarning).optional().describe('Absent where there is nothing to say.'),
  })
  .describe('An answer as items, and what it repeats of its request.');

export const responseDeleted = z.object({
  id: z.string(),
  object: z.literal('response'),
  deleted: z.literal(true),
});

export const responseInputItems = z
  .object({
    object: z.literal('list'),
    data: z.array(inputItem),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  })
  .describe('What a response was asked. Every item has an id.');

export const responseInputTokens = z.object({ object: z.literal('response.input_tokens'), input_tokens: tokens });
