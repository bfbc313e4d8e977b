/** What OpenAI's answers have in common: usage, log-probabilities, warnings. */
import { z } from 'zod';

export const tokens = z.int().min(0);

export const completionUsage = z
  .object({
    prompt_tokens: tokens,
    completion_tokens: tokens.describe('Reasoning included.'),
    total_tokens: tokens,
    prompt_tokens_details: z.object({ cached_tokens: tokens.describe('Prompt tokens whose KV was in the cache.') }),
    completion_tokens_details: z.object({ reasoning_tokens: tokens }),
  })
  .describe('Tokens of a request. Choices to one prompt share it, so it counts once.');

const logprobFields = {
  token: z.string().describe('Its text; `bytes:\\xf0\\x9f` for one that is no whole UTF-8.'),
  logprob: z.number().describe('Natural logarithm, at least -9999.'),
  bytes: z.array(z.int().min(0).max(255)),
};

export const topLogprob = z.object(logprobFields).describe('An alternative to the chosen token.');

export const tokenLogprob = z
  .object({ ...logprobFields, top_logprobs: z.array(topLogprob).describe('The most probable tokens, best first.') })
  .describe('The chosen token.');

const warningFields = { code: z.enum(['malformed_tool_call']), message: z.string() };

export const answerWarning = z
  .object(warningFields)
  .describe('What went wrong in an answer without ending it: what looked like a call of a tool became text.');

export const choiceWarning = z
  .object({ choice: z.int().min(0).describe('Index of the choice that it is about.'), ...warningFields })
  .describe('What went wrong in a choice without ending it: what looked like a call of a tool became text.');
