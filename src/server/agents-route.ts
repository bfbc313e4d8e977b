/** `/v1/agents…`: sessions under the names and fields of yshk-mxim/agent-memory, for tools written for it. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Engine, SessionDescription } from '../runtime/api.ts';
import { DEFAULT_SAMPLING } from '../runtime/sampling.ts';
import { AnswerCollector, textOf } from './dialects/answer.ts';
import { integer, optional, parseBody } from './dialects/body-schema.ts';
import type { HttpRequest } from './http.ts';
import type { Operation } from './operation.ts';
import { decodeSegment, type PlainRoute, readRoute } from './plain-route.ts';
import type { Reply } from './reply.ts';
import { readJson } from './session-body.ts';
import { checkSessionId } from './session-hints.ts';
import { EVICT_ONLY, type SessionContext } from './sessions-route.ts';

const PREFIX = '/v1/agents';
/** All of them in one answer: that is what its clients know. */
const MAX_AGENTS = 10_000;
const MEGABYTE = 1024 * 1024;
const DEFAULT_MAX_TOKENS = 256;
const MAX_PROMPT_BYTES = 32 * MEGABYTE;

const createBody = z.object({ agent_id: optional(z.string()) });
const generateBody = z.object({
  prompt: z.string().min(1),
  max_tokens: optional(integer(1)),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(integer(0)),
});

export const AGENT_OPERATIONS: readonly Operation[] = [
  { id: 'listAgents', method: 'GET', path: PREFIX, summary: 'Your sessions as agents', answers: { 200: 'AgentList' } },
  {
    id: 'createAgent',
    method: 'POST',
    path: PREFIX,
    summary: 'Make an agent',
    body: createBody,
    bodyIsOptional: true,
    answers: { 201: 'Agent' },
    errors: [409],
  },
  {
    id: 'listAgentsAgain',
    method: 'GET',
    path: `${PREFIX}/list`,
    summary: 'Your sessions as agents',
    answers: { 200: 'AgentList' },
  },
  {
    id: 'getAgentStats',
    method: 'GET',
    path: `${PREFIX}/stats`,
    summary: 'How many agents there are, and how much they keep',
    answers: { 200: 'AgentStats' },
  },
  { id: 'getAgent', method: 'GET', path: `${PREFIX}/{id}`, summary: 'An agent', answers: { 200: 'Agent' } },
  {
    id: 'deleteAgent',
    method: 'DELETE',
    path: `${PREFIX}/{id}`,
    summary: 'Forget an agent',
    query: EVICT_ONLY,
    answers: { 204: {} },
  },
  {
    id: 'generateAgentText',
    method: 'POST',
    path: `${PREFIX}/{id}/generate`,
    summary: "Continue an agent's text",
    body: generateBody,
    answers: { 200: 'AgentText' },
    errors: [429],
  },
];

/** Undefined for other paths. */
export const agentRouteOf = (path: string, context: SessionContext): PlainRoute | undefined => {
  if (path === PREFIX) return rootRoute(context);
  if (path === `${PREFIX}/list`) return readRoute(path, (request, reply) => answerList(context, request, reply));
  if (path === `${PREFIX}/stats`) return readRoute(path, (request, reply) => answerStats(context, request, reply));
  const [, id, action] = /^\/v1\/agents\/([^/]+)(\/generate)?$/.exec(path) ?? [];
  if (id === undefined) return undefined;
  const name = decodeSegment(id);
  return action === undefined ? agentRoute(name, context) : generateRoute(name, context);
};

const rootRoute = (context: SessionContext): PlainRoute => ({
  name: PREFIX,
  methods: ['GET', 'POST'],
  async answer(request, reply) {
    if (request.method === 'GET') return answerList(context, request, reply);
    const { agent_id: id } = parseBody(createBody, await readJson(request));
    const named = {
      id: id ? checkSessionId(id, 'agent_id') : `agent_${randomUUID().replaceAll('-', '').slice(0, 16)}`,
    };
    reply.json(201, agentBody(await context.engine.sessions.create(context.ownerOf(request), named)));
  },
});

const agentRoute = (id: string, { engine, ownerOf }: SessionContext): PlainRoute => ({
  name: `${PREFIX}/{id}`,
  methods: ['GET', 'DELETE'],
  async answer(request, reply) {
    const { sessions } = engine;
    const owner = ownerOf(request);
    if (request.method === 'GET') return reply.json(200, agentBody(await sessions.get(owner, id)));
    if (request.query.get('evict_only') === 'true') await sessions.evict(owner, id);
    else await sessions.delete(owner, id);
    reply.text(204, '');
  },
});

const generateRoute = (id: string, context: SessionContext): PlainRoute => ({
  name: `${PREFIX}/{id}/generate`,
  methods: ['POST'],
  async answer(request, reply) {
    const giveBack = context.admit();
    try {
      const body = parseBody(generateBody, await readJson(request, MAX_PROMPT_BYTES));
      const owner = context.ownerOf(request);
      const cache = { owner, session: checkSessionId(id, 'agent_id') };
      const answer = await generate(context.engine, body, { id: reply.requestId, cache }, request.signal);
      reply.usage = answer.finish.usage;
      reply.json(200, {
        text: textOf(answer, 'text'),
        tokens_generated: answer.finish.usage.completionTokens,
        finish_reason: answer.finish.reason === 'length' ? 'length' : 'stop',
        cache_size_tokens: (await context.engine.sessions.get(owner, id)).tokens,
      });
    } finally {
      giveBack();
    }
  },
});

const generate = async (
  engine: Engine,
  body: z.output<typeof generateBody>,
  request: { readonly id: string; readonly cache: { readonly owner: string; readonly session: string } },
  signal: AbortSignal,
) => {
  const generation = await engine.generate(
    {
      ...request,
      // As it stands: its clients write whole prompts.
      prompt: { kind: 'text', text: body.prompt },
      maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
      stop: [],
      sampling: {
        ...DEFAULT_SAMPLING,
        temperature: body.temperature ?? DEFAULT_SAMPLING.temperature,
        topP: body.top_p ?? DEFAULT_SAMPLING.topP,
        topK: body.top_k ?? DEFAULT_SAMPLING.topK,
      },
    },
    signal,
  );
  const collector = new AnswerCollector();
  for await (const event of generation.events) collector.add(event);
  return collector.answer();
};

const agentBody = ({ id, tokens }: SessionDescription): object => ({
  agent_id: id,
  status: 'active',
  cache_size_tokens: tokens,
});

/** `hot`: in pool or memory; `warm`: on disk alone. */
const tierOf = ({ tokensByTier: { pool, ram } }: SessionDescription): 'hot' | 'warm' =>
  pool + ram > 0 ? 'hot' : 'warm';

const isDirty = ({ tokens, savedTokens }: SessionDescription): boolean => savedTokens < tokens - 1;

const bytesOf = ({ bytesByTier: { ram, disk } }: SessionDescription): number => Math.max(ram, disk);

const answerList = async ({ engine, ownerOf }: SessionContext, request: HttpRequest, reply: Reply): Promise<void> => {
  const sessions = await engine.sessions.list(ownerOf(request), { limit: MAX_AGENTS });
  const agents = sessions.map((session) => ({
    ...agentBody(session),
    tier: tierOf(session),
    tokens: session.tokens,
    dirty: isDirty(session),
    file_size_bytes: session.bytesByTier.disk,
    last_accessed: session.lastUsedAt / 1000,
  }));
  reply.json(200, { agents, total: agents.length });
};

const answerStats = async ({ engine, ownerOf }: SessionContext, request: HttpRequest, reply: Reply): Promise<void> => {
  const sessions = await engine.sessions.list(ownerOf(request), { limit: MAX_AGENTS });
  const { kvBlocksUsed, kvBlocksCached, kvBlocksTotal } = engine.stats();
  const count = (matches: (session: SessionDescription) => boolean): number => sessions.filter(matches).length;
  const numBytes = sessions.reduce((sum, session) => sum + bytesOf(session), 0);
  reply.json(200, {
    hot_count: count((session) => tierOf(session) === 'hot'),
    warm_count: count((session) => tierOf(session) === 'warm'),
    total_count: sessions.length,
    dirty_count: count(isDirty),
    pool_utilization_pct: Math.round(((kvBlocksUsed + kvBlocksCached) / kvBlocksTotal) * 10_000) / 100,
    total_cache_size_mb: Math.round((numBytes / MEGABYTE) * 100) / 100,
  });
};
