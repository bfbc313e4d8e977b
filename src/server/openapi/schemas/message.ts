/** Anthropic's message, and its count of tokens. */
import { z } from 'zod';
import { answerWarning, tokens } from './usage.ts';

export const textBlock = z.object({
  type: z.literal('text'),
  text: z.string(),
  citations: z.array(z.never()).describe('Always empty.'),
});

export const thinkingBlock = z.object({
  type: z.literal('thinking'),
  thinking: z.string(),
  signature: z.string().describe('Clients send it back; nothing reads it.'),
});

export const toolUseBlock = z.object({
  type: z.literal('tool_use'),
  id: z.string(),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
  caller: z.object({ type: z.literal('direct') }),
});

export const messageContentBlock = z.discriminatedUnion('type', [textBlock, thinkingBlock, toolUseBlock]);

const usageFields = {
  input_tokens: tokens.describe('Prompt tokens that neither came from the cache nor were marked to go there.'),
  output_tokens: tokens.describe('Thinking included.'),
  cache_creation_input_tokens: tokens.describe('Prompt tokens computed for a prompt with `cache_control`.'),
  cache_read_input_tokens: tokens.describe('Prompt tokens whose KV was in the cache.'),
  server_tool_use: z.null(),
  output_tokens_details: z.object({ thinking_tokens: tokens }),
};

export const messageDeltaUsage = z.object(usageFields).describe('Of the whole message so far.');

export const messageUsage = z
  .object({
    ...usageFields,
    cache_creation: z.object({ ephemeral_5m_input_tokens: tokens, ephemeral_1h_input_tokens: tokens }),
    service_tier: z.literal('standard'),
    speed: z.literal('standard'),
    inference_geo: z.null(),
  })
  .describe('The three kinds of input tokens add up to the prompt.');

export const stopReason = z
  .enum(['end_turn', 'tool_use', 'stop_sequence', 'max_tokens', 'model_context_window_exceeded'])
  .describe('`model_context_window_exceeded`: the context was full before `max_tokens` was reached.');

export const stopFields = {
  stop_reason: stopReason,
  stop_sequence: z.string().nullable().describe('The one that was met.'),
  stop_details: z.null(),
  container: z.null(),
};

export const messageHead = {
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string().describe('As the request named it.'),
  diagnostics: z.null(),
};

export const warnings = z.array(answerWarning).optional().describe('Absent where there is nothing to say.');

export const message = z
  .object({
    ...messageHead,
    content: z.array(messageContentBlock),
    ...stopFields,
    usage: messageUsage,
    warnings,
  })
  .describe('The whole answer in a conversation.');

export const messageTokens = z.object({ input_tokens: tokens.describe('System prompt and tools included.') });
