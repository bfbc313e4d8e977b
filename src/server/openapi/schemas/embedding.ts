/** OpenAI's embeddings. */
import { z } from 'zod';
import { tokens } from './usage.ts';

export const embedding = z.object({
  object: z.literal('embedding'),
  index: z.int().min(0).describe('Of the input that it is of.'),
  embedding: z
    .union([z.array(z.number()), z.base64()])
    .describe('Of length 1. With `encoding_format: "base64"`, its numbers as little-endian 32-bit floats in base64.'),
});

export const embeddingList = z
  .object({
    object: z.literal('list'),
    data: z.array(embedding),
    model: z.string(),
    usage: z.object({ prompt_tokens: tokens, total_tokens: tokens }),
  })
  .describe('One embedding for each input, in order.');
