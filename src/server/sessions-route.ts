/** `/v1/sessions…` and `/v1/requests/{id}/cache`: a caller's own sessions, and what the cache did for its requests. */
import type { Engine, SessionDescription, Sessions } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { readBody } from './body.ts';
import type { HttpRequest } from './http.ts';
import type { Operation } from './operation.ts';
import { limitParameter, type PageLimit, pageLimit } from './page-limit.ts';
import { decodeSegment, type PlainRoute, readRoute } from './plain-route.ts';
import type { Reply } from './reply.ts';
import { missBody, newSessionBody, readNewSession, requestCacheBody, sessionBody } from './session-body.ts';
import { checkSessionId } from './session-hints.ts';

export interface SessionContext {
  readonly engine: Engine;
  ownerOf(request: HttpRequest): string;
  /** Takes one of the places for what costs the engine something. @throws EngineError overloaded */
  admit(): () => void;
}

/** What a route does: its answer follows from the request, the owner and the session's name. */
type Act = (sessions: Sessions, call: Call, reply: Reply) => Promise<void>;

interface Call {
  readonly request: HttpRequest;
  readonly owner: string;
  readonly id: string;
}

const PREFIX = '/v1/sessions';
const REQUESTS = /^\/v1\/requests\/([^/]+)\/cache$/;
const PAGE: PageLimit = { max: 1000, otherwise: 100 };
/** As much as an export has at most. */
const MAX_IMPORT_BYTES = 1024 ** 3 + 64;

const file = 'application/octet-stream';

/** Query of DELETE. */
export const EVICT_ONLY = {
  evict_only: { description: 'true: only take its KV out of memory', schema: { type: 'boolean' } },
};

const action = (name: string, summary: string): Operation => ({
  id: `${name}Session`,
  method: 'POST',
  path: `${PREFIX}/{id}/${name}`,
  summary,
  answers: { 200: 'Session' },
  errors: [409],
});

export const SESSION_OPERATIONS: readonly Operation[] = [
  {
    id: 'listSessions',
    method: 'GET',
    path: PREFIX,
    summary: 'Your sessions, the last used first',
    query: {
      limit: limitParameter(PAGE),
      after: { description: 'the last id of the page before' },
    },
    answers: { 200: 'SessionList' },
  },
  {
    id: 'createSession',
    method: 'POST',
    path: PREFIX,
    summary: 'Make a session',
    body: newSessionBody,
    bodyIsOptional: true,
    answers: { 201: 'Session' },
    errors: [409],
  },
  {
    id: 'getSession',
    method: 'GET',
    path: `${PREFIX}/{id}`,
    summary: 'A session with its last cache misses',
    answers: { 200: 'SessionDetails' },
  },
  {
    id: 'deleteSession',
    method: 'DELETE',
    path: `${PREFIX}/{id}`,
    summary: 'Forget a session; with evict_only, the session is answered',
    query: EVICT_ONLY,
    answers: { 200: 'SessionRemoval' },
  },
  {
    ...action('fork', 'Another session that begins where this one is'),
    body: newSessionBody,
    bodyIsOptional: true,
    answers: { 201: 'Session' },
  },
  { ...action('save', "Wait until the session's KV is on disk"), errors: [409, 507] },
  action('pin', "Keep the session's KV before others'"),
  action('unpin', 'End that'),
  {
    ...action('export', 'The session as a file'),
    answers: { 200: { types: [file], headers: ['content-disposition'] } },
  },
  {
    ...action('import', 'Make the session from a file'),
    id: 'importSessionAs',
    takes: file,
    answers: { 201: 'Session' },
  },
  {
    ...action('import', 'Make a session from a file'),
    path: `${PREFIX}/import`,
    takes: file,
    query: { id: { description: "its name; absent: the file's own" } },
    answers: { 201: 'Session' },
  },
  {
    id: 'getRequestCache',
    method: 'GET',
    path: '/v1/requests/{id}/cache',
    summary: 'What the cache had of a request of yours, and why',
    answers: { 200: 'RequestCache' },
  },
];

/** Undefined for other paths. */
export const sessionRouteOf = (path: string, context: SessionContext): PlainRoute | undefined => {
  const requestId = REQUESTS.exec(path)?.[1];
  if (requestId !== undefined) return requestRoute(decodeSegment(requestId), context);
  if (path === PREFIX) return route(context, PREFIX, '', { GET: list, POST: create });
  if (!path.startsWith(`${PREFIX}/`)) return undefined;
  const [id = '', action, ...rest] = path.slice(PREFIX.length + 1).split('/');
  if (rest.length > 0 || id === '') return undefined;
  if (action === undefined && id === 'import') return route(context, `${PREFIX}/import`, '', { POST: importFile });
  const name = decodeSegment(id);
  if (action === undefined) return route(context, `${PREFIX}/{id}`, name, { GET: get, DELETE: remove });
  const act = ACTIONS.get(action);
  return act && route(context, `${PREFIX}/{id}/${action}`, name, { POST: act });
};

const route = (
  { engine, ownerOf }: SessionContext,
  name: string,
  id: string,
  acts: Readonly<Record<string, Act>>,
): PlainRoute => ({
  name,
  methods: Object.keys(acts),
  answer: async (request, reply) =>
    acts[request.method]?.(engine.sessions, { request, owner: ownerOf(request), id }, reply),
});

const list: Act = async (sessions, { request, owner }, reply) => {
  const after = request.query.get('after');
  const limit = pageLimit(request.query, PAGE);
  const data = await sessions.list(owner, { limit: limit + 1, ...(after === null ? {} : { after }) });
  reply.json(200, { object: 'list', data: data.slice(0, limit).map(sessionBody), has_more: data.length > limit });
};

const create: Act = async (sessions, { request, owner }, reply) => {
  reply.json(201, sessionBody(await sessions.create(owner, await readNewSession(request))));
};

const get: Act = async (sessions, { owner, id }, reply) => {
  const { misses, ...session } = await sessions.get(owner, id);
  reply.json(200, { ...sessionBody(session), misses: misses.map(missBody) });
};

const remove: Act = async (sessions, { request, owner, id }, reply) => {
  if (request.query.get('evict_only') === 'true') {
    reply.json(200, sessionBody(await sessions.evict(owner, id)));
    return;
  }
  await sessions.delete(owner, id);
  reply.json(200, { id, object: 'session', deleted: true });
};

const fork: Act = async (sessions, { request, owner, id }, reply) => {
  reply.json(201, sessionBody(await sessions.fork(owner, id, await readNewSession(request))));
};

const change =
  (work: (sessions: Sessions, owner: string, id: string) => Promise<SessionDescription>): Act =>
  async (sessions, { owner, id }, reply) =>
    reply.json(200, sessionBody(await work(sessions, owner, id)));

const exportFile: Act = async (sessions, { owner, id }, reply) => {
  const file = await sessions.export(owner, id);
  reply.text(200, file, {
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment; filename="session.flsession"',
  });
};

/** Under the path's name, the query's, or the file's own, whichever there is first. */
const importFile: Act = async (sessions, { request, owner, id }, reply) => {
  const wanted = id === '' ? (request.query.get('id') ?? '') : id;
  const named = wanted === '' ? {} : { id: checkSessionId(wanted, 'id') };
  const file = await readBody(request, MAX_IMPORT_BYTES);
  reply.json(201, sessionBody(await sessions.import(owner, file, named)));
};

const ACTIONS: ReadonlyMap<string, Act> = new Map([
  ['fork', fork],
  ['save', change((sessions, owner, id) => sessions.save(owner, id))],
  ['pin', change((sessions, owner, id) => sessions.pin(owner, id))],
  ['unpin', change((sessions, owner, id) => sessions.unpin(owner, id))],
  ['export', exportFile],
  ['import', importFile],
]);

/** A request with several choices has one entry for each: they share the prompt, and the first one found it. */
const requestRoute = (id: string, { engine, ownerOf }: SessionContext): PlainRoute =>
  readRoute('/v1/requests/{id}/cache', async (request, reply) => {
    const { sessions } = engine;
    const owner = ownerOf(request);
    const found = (await sessions.requestCache(owner, id)) ?? (await sessions.requestCache(owner, `${id}-0`));
    if (found === undefined) {
      const message = `there is no request '${id}' of yours in memory: take the x-request-id of a recent answer`;
      throw new EngineError('not_found', message, { param: 'id', reason: 'request_not_found' });
    }
    reply.json(200, { ...requestCacheBody(found), requestId: id });
  });
