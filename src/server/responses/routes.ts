/** `/v1/responses/{id}…`: a caller's own stored responses. */
import { EngineError } from '../../runtime/errors.ts';
import { invalidParam } from '../dialects/body-schema.ts';
import { replayedFrames } from '../dialects/openai-responses-replay.ts';
import { SSE_HEADERS } from '../dialects/sse.ts';
import type { HttpRequest } from '../http.ts';
import type { Operation } from '../operation.ts';
import { limitParameter, type PageLimit, pageLimit } from '../page-limit.ts';
import { decodeSegment, type PlainRoute } from '../plain-route.ts';
import type { Reply } from '../reply.ts';
import type { ResumableStream } from '../resume/resumable-stream.ts';
import type { StreamStore } from '../resume/stream-store.ts';
import { itemResource } from './item-resource.ts';
import type { ResponseRecord } from './response-record.ts';
import type { ResponseStore, StoredResponses } from './response-store.ts';

export interface ResponseRouteContext {
  readonly responses: ResponseStore;
  /** Of answers in the background. */
  readonly streams: StreamStore;
  ownerOf(request: HttpRequest): string;
}

interface Call {
  readonly request: HttpRequest;
  readonly reply: Reply;
  /** The events of an answer in the background, while they are kept. */
  readonly stream: ResumableStream | undefined;
  /** Drops them. */
  forget(): void;
}

type Act = (responses: StoredResponses, id: string, call: Call) => Promise<void>;

const PREFIX = '/v1/responses/';
/** Answered by the dialect. */
const ACTIONS: ReadonlySet<string> = new Set(['input_tokens', 'compact']);
const PAGE: PageLimit = { max: 100, otherwise: 20 };

export const RESPONSE_OPERATIONS: readonly Operation[] = [
  {
    id: 'getResponse',
    method: 'GET',
    path: `${PREFIX}{id}`,
    summary: 'A stored response, or one that is being made',
    query: {
      stream: {
        description: 'the events of a response that has ended, or is made in the background',
        schema: { type: 'boolean', default: false },
      },
      starting_after: {
        description: 'only the events of that stream after this number, and in any case the last',
        schema: { type: 'integer', minimum: 0 },
      },
    },
    answers: { 200: { json: 'ResponseObject', events: 'ResponseStreamEvent' } },
  },
  {
    id: 'deleteResponse',
    method: 'DELETE',
    path: `${PREFIX}{id}`,
    summary: 'Erases a stored response',
    answers: { 200: 'ResponseDeleted' },
  },
  {
    id: 'cancelResponse',
    method: 'POST',
    path: `${PREFIX}{id}/cancel`,
    summary: 'Ends a response that is being made',
    answers: { 200: 'ResponseObject' },
  },
  {
    id: 'listResponseInputItems',
    method: 'GET',
    path: `${PREFIX}{id}/input_items`,
    summary: "A response's own input",
    query: {
      order: { description: 'of the items', schema: { type: 'string', enum: ['asc', 'desc'], default: 'desc' } },
      limit: limitParameter(PAGE),
      after: { description: 'the id of the item after which the page begins' },
    },
    answers: { 200: 'ResponseInputItems' },
  },
];

/** Undefined for other paths. */
export const responseRouteOf = (path: string, context: ResponseRouteContext): PlainRoute | undefined => {
  if (!path.startsWith(PREFIX)) return undefined;
  const [id = '', action, ...rest] = path.slice(PREFIX.length).split('/');
  if (id === '' || rest.length > 0 || (action === undefined && ACTIONS.has(id))) return undefined;
  const name = decodeSegment(id);
  if (action === undefined) return route(context, '', name, { GET: get, DELETE: remove });
  if (action === 'cancel') return route(context, '/cancel', name, { POST: cancel });
  return action === 'input_items' ? route(context, '/input_items', name, { GET: listInput }) : undefined;
};

const route = (
  { responses, streams, ownerOf }: ResponseRouteContext,
  suffix: string,
  id: string,
  acts: Readonly<Record<string, Act>>,
): PlainRoute => ({
  name: `${PREFIX}{id}${suffix}`,
  methods: Object.keys(acts),
  answer: async (request, reply) => {
    const owner = ownerOf(request);
    const stream = streams.find(id, owner);
    const forget = (): void => stream && streams.forget(stream);
    await acts[request.method]?.(responses.of(owner), id, { request, reply, stream, forget });
  },
});

const find = async (responses: StoredResponses, id: string): Promise<ResponseRecord> => {
  const record = responses.running(id)?.record ?? (await responses.get(id));
  if (record === undefined) throw notFound(id);
  return record;
};

const notFound = (id: string): EngineError =>
  new EngineError('not_found', `Response with id '${id}' not found`, { reason: 'response_not_found' });

const get: Act = async (responses, id, { request, reply, stream }) => {
  const isRunning = responses.running(id) !== undefined;
  const { response } = await find(responses, id);
  if (request.query.get('stream') !== 'true') return reply.json(200, response);
  const startingAfter = eventNumber(request.query.get('starting_after'));
  if (stream !== undefined) {
    // The end of a stream is counted in it, and is no event.
    const numEvents = stream.lastNumber - (stream.hasEnded ? 1 : 0);
    if (startingAfter >= numEvents)
      throw invalidParam('starting_after', `must be below ${numEvents}, the number of events so far`);
    // Events are numbered from 0 in the response, from 1 in the stream.
    stream.check(startingAfter + 1);
    return stream.read(reply.stream(SSE_HEADERS), request.signal, startingAfter + 1);
  }
  if (isRunning) {
    const message = `stream: the response '${id}' is still being made: its events go to who asked for it; ask without stream, and again`;
    throw new EngineError('not_supported', message, { param: 'stream' });
  }
  const frames = reply.frames();
  frames.write(replayedFrames(response, startingAfter));
  frames.end();
};

const eventNumber = (text: string | null): number => {
  if (text === null) return -1;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalidParam('starting_after', `must be the number of an event, got '${text}'`);
};

const remove: Act = async (responses, id, { reply, forget }) => {
  const running = responses.running(id);
  await running?.cancel();
  forget();
  const wasThere = await responses.erase(id);
  if (!wasThere && running === undefined) throw notFound(id);
  reply.json(200, { id, object: 'response', deleted: true });
};

/** Once more for a cancelled one, it changes nothing. */
const cancel: Act = async (responses, id, { reply }) => {
  const running = responses.running(id);
  const { response } = running === undefined ? await find(responses, id) : await running.cancel();
  if (running === undefined && response.status !== 'cancelled') {
    const message = `the response '${id}' is ${response.status}: only one that is still being made can be cancelled`;
    throw new EngineError('invalid_request', message, { reason: 'response_not_cancellable' });
  }
  reply.json(200, response);
};

const listInput: Act = async (responses, id, { request: { query }, reply }) => {
  const { input } = await find(responses, id);
  const order = query.get('order') ?? 'desc';
  if (order !== 'asc' && order !== 'desc') throw invalidParam('order', `must be asc or desc, got '${order}'`);
  const limit = pageLimit(query, PAGE);
  const items = order === 'asc' ? input : [...input].reverse();
  const data = items.slice(startOf(items, query.get('after'))).map(itemResource);
  const page = data.slice(0, limit);
  reply.json(200, {
    object: 'list',
    data: page,
    has_more: data.length > limit,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  });
};

const startOf = (items: readonly { readonly id?: unknown }[], after: string | null): number => {
  if (after === null) return 0;
  const index = items.findIndex(({ id }) => id === after);
  if (index < 0) throw invalidParam('after', `there is no item '${after}' in this list`);
  return index + 1;
};
