/** What the server says of itself, and of texts as tokens. */
import { z } from 'zod';
import { tokens } from './usage.ts';

export const health = z.object({
  status: z.enum(['ok', 'degraded', 'draining']).describe('`degraded`: more than 90% of the KV pool is in use.'),
  model: z.string(),
  adapter: z.string().describe('The GPU, as its driver names it.'),
  requests: z.object({ running: z.int().min(0), waiting: z.int().min(0) }),
  kvBlocks: z.object({ total: z.int().min(0), used: z.int().min(0), cached: z.int().min(0) }),
});

export const liveness = z.object({ status: z.literal('ok') });

export const tokenPiece = z.object({
  id: tokens,
  piece: z
    .union([z.string(), z.array(z.int().min(0).max(255))])
    .describe('Its text; its bytes where they are no whole UTF-8.'),
});

export const tokenized = z.object({
  tokens: z.union([z.array(tokens), z.array(tokenPiece)]).describe('With `with_pieces`, each with its text.'),
});

export const detokenized = z.object({ content: z.string() });
export const renderedPrompt = z.object({ prompt: z.string() });
