/** A session as JSON, and the bodies that make one. Times go out as ISO 8601. */
import { z } from 'zod';
import type { CacheMiss, CacheTier, NewSession, RequestCache, SessionDescription } from '../runtime/api.ts';
import { readBody } from './body.ts';
import { integer, optional, parseBody } from './dialects/body-schema.ts';
import type { HttpRequest } from './http.ts';
import { parseJson } from './json-body.ts';
import { checkSessionId } from './session-hints.ts';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_TTL_SECONDS = 10 * 365 * 24 * 3600;
const TIERS = ['pool', 'ram', 'disk'] as const satisfies readonly CacheTier[];

/** Of requests that make a session. */
export const newSessionBody = z.object({
  id: optional(z.string()),
  ttlSeconds: optional(integer(1, MAX_TTL_SECONDS)),
  pinned: optional(z.boolean()),
});

/** The body of a request that may leave it out. @throws EngineError invalid_request */
export const readJson = async (request: HttpRequest, maxBytes = MAX_BODY_BYTES): Promise<unknown> => {
  const body = await readBody(request, maxBytes);
  return body.byteLength === 0 ? {} : parseJson(body);
};

export const readNewSession = async (request: HttpRequest): Promise<NewSession> => {
  const { id, ttlSeconds, pinned } = parseBody(newSessionBody, await readJson(request));
  return {
    ...(typeof id === 'string' ? { id: checkSessionId(id, 'id') } : {}),
    ...(typeof ttlSeconds === 'number' ? { ttlSeconds } : {}),
    ...(typeof pinned === 'boolean' ? { isPinned: pinned } : {}),
  };
};

const iso = (unixMs: number): string => new Date(unixMs).toISOString();

export const sessionBody = ({
  isPinned,
  createdAt,
  lastUsedAt,
  pinnedUntil,
  tokensByTier,
  bytesByTier,
  ...session
}: SessionDescription): object => ({
  object: 'session',
  ...session,
  createdAt: iso(createdAt),
  lastUsedAt: iso(lastUsedAt),
  expiresAt: isPinned ? null : iso(lastUsedAt + session.ttlSeconds * 1000),
  pinned: isPinned,
  ...(pinnedUntil === undefined ? {} : { pinnedUntil: iso(pinnedUntil) }),
  tiers: Object.fromEntries(TIERS.map((tier) => [tier, { tokens: tokensByTier[tier], bytes: bytesByTier[tier] }])),
  /** Of all prompt tokens so far, the share that was found; null before the first. */
  hitRatio: session.promptTokens === 0 ? null : session.cachedTokens / session.promptTokens,
});

export const missBody = (miss: CacheMiss): object => ({ ...miss, at: iso(miss.at) });

export const requestCacheBody = ({ report, ...request }: RequestCache): object => ({
  object: 'request.cache',
  ...request,
  hit: request.promptTokens - report.computed,
  computed: report.computed,
  tiers: report.found,
  reason: report.reason,
});
