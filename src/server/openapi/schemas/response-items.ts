/** The items of a response's output, and the parts that they are made of. */
import { z } from 'zod';
import { tokenLogprob } from './usage.ts';

export const outputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()).describe('Always empty.'),
  logprobs: z.array(tokenLogprob).describe('Empty unless `include` has `message.output_text.logprobs`.'),
});

export const reasoningText = z.object({ type: z.literal('reasoning_text'), text: z.string() });
export const summaryText = z.object({ type: z.literal('summary_text'), text: z.string() });

const head = { id: z.string(), status: z.enum(['in_progress', 'completed', 'incomplete']) };

export const outputMessage = z.object({
  ...head,
  type: z.literal('message'),
  role: z.literal('assistant'),
  content: z.array(outputText),
});

export const reasoningItem = z
  .object({
    ...head,
    type: z.literal('reasoning'),
    summary: z.array(summaryText).describe('The thoughts themselves where `reasoning.summary` asks for one.'),
    content: z.array(reasoningText),
    encrypted_content: z
      .string()
      .optional()
      .describe('Where `include` has `reasoning.encrypted_content`, once the item has ended.'),
  })
  .describe("The model's thoughts.");

const callFields = {
  call_id: z.string().describe("Goes back with the call's output."),
  name: z.string(),
  namespace: z.string().optional().describe('Of the tool, where it came in one.'),
};

export const functionToolCall = z.object({
  ...head,
  type: z.literal('function_call'),
  ...callFields,
  arguments: z.string().describe('JSON, perhaps cut off when the answer met a limit.'),
});

export const customToolCall = z.object({
  ...head,
  type: z.literal('custom_tool_call'),
  ...callFields,
  input: z.string().describe('Plain text.'),
});

export const outputItem = z.discriminatedUnion('type', [
  outputMessage,
  reasoningItem,
  functionToolCall,
  customToolCall,
]);
