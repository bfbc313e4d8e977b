/** Sessions, what the cache did for them, and the same under agent-memory's names. */
import { z } from 'zod';
import { tokens } from './usage.ts';

const perTier = z.object({ pool: tokens, ram: tokens, disk: tokens });

const missCause = z.enum([
  'new_session',
  'new_conversation',
  'evicted',
  'other_model',
  'other_kv_format',
  'tools_reordered',
  'tools_changed',
  'system_changed',
  'reasoning_dropped',
  'history_changed',
  'prompt_changed',
]);

export const tierUse = z.object({ tokens, bytes: z.int().min(0) });

const sessionFields = {
  object: z.literal('session'),
  id: z.string(),
  parent: z.string().optional().describe('The session that it was forked from.'),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime(),
  ttlSeconds: z.int().describe('Unused for so long, it is deleted.'),
  expiresAt: z.iso.datetime().nullable().describe('Null for a pinned one.'),
  pinned: z.boolean(),
  pinnedUntil: z.iso
    .datetime()
    .optional()
    .describe('Until when what it was asked to keep is pinned; absent: no such mark is in force.'),
  timelines: z.int().describe('Conversations: more than one only under a name that stands for a user.'),
  tokens: tokens.describe('Of its conversations, as they stood after their last answers.'),
  savedTokens: tokens.describe('Tokens whose KV is on disk for good.'),
  tiers: z.object({ pool: tierUse, ram: tierUse, disk: tierUse }).describe('A block may be in several.'),
  requests: z.int().min(0),
  promptTokens: tokens,
  cachedTokens: tokens,
  hitRatio: z.number().nullable().describe('cachedTokens of promptTokens; null before the first request.'),
};

export const session = z.object(sessionFields).describe('A named conversation whose KV is kept on purpose.');

export const cacheMiss = z
  .object({
    requestId: z.string(),
    at: z.iso.datetime(),
    tokenIndex: tokens.describe("Where the prompt left the session's last one."),
    lostTokens: tokens.describe('Prompt tokens that had to be computed, beyond those that are new in any case.'),
    cause: missCause,
    oldText: z.string().describe('A few words from `tokenIndex` on, as they were.'),
    newText: z.string().describe('The same, as they are.'),
  })
  .describe('A prompt of a session whose KV was not all found.');

export const sessionDetails = z
  .object({ ...sessionFields, misses: z.array(cacheMiss).describe('Of its last prompts, newest first.') })
  .describe('A session with its last cache misses.');

export const sessionList = z.object({
  object: z.literal('list'),
  data: z.array(session).describe('The last used first.'),
  has_more: z.boolean(),
});

export const sessionDeleted = z.object({ id: z.string(), object: z.literal('session'), deleted: z.literal(true) });

export const sessionRemoval = z.union([sessionDeleted, session]).describe('With `evict_only`, the session.');

export const requestCache = z
  .object({
    object: z.literal('request.cache'),
    requestId: z.string(),
    session: z.string().optional(),
    promptTokens: tokens,
    hit: tokens.describe('Prompt tokens found in any tier.'),
    computed: tokens,
    tiers: perTier.describe('Prompt tokens found, by the tier that had them.'),
    reason: z.enum(['none', 'new', 'evicted', 'changed']).describe('Why not all was found.'),
    cause: missCause.optional().describe('Absent: nothing was missed.'),
  })
  .describe("Where one prompt's KV came from.");

export const agent = z
  .object({ agent_id: z.string(), status: z.literal('active'), cache_size_tokens: tokens })
  .describe("A session under agent-memory's names.");

export const agentSummary = agent.extend({
  tier: z.enum(['hot', 'warm']).describe('`hot`: in pool or memory. `warm`: on disk alone.'),
  tokens,
  dirty: z.boolean().describe('Not all of it is on disk.'),
  file_size_bytes: z.int().min(0),
  last_accessed: z.number().describe('Unix seconds.'),
});

export const agentList = z.object({ agents: z.array(agentSummary), total: z.int().min(0) });

export const agentStats = z.object({
  hot_count: z.int(),
  warm_count: z.int(),
  total_count: z.int(),
  dirty_count: z.int(),
  pool_utilization_pct: z.number(),
  total_cache_size_mb: z.number(),
});

export const agentText = z.object({
  text: z.string(),
  tokens_generated: tokens,
  finish_reason: z.enum(['stop', 'length']),
  cache_size_tokens: tokens,
});
