/** `GET /v1/streams/{id}`: goes on reading a stream whose connection was lost; DELETE ends it. */
import { EngineError } from '../../runtime/errors.ts';
import { SSE_HEADERS } from '../dialects/sse.ts';
import type { HttpRequest } from '../http.ts';
import type { Operation } from '../operation.ts';
import { decodeRest, type PlainRoute } from '../plain-route.ts';
import { STREAM_HEADER } from './resumable-reply.ts';
import type { ResumableStream } from './resumable-stream.ts';
import type { StreamStore } from './stream-store.ts';

const PREFIX = '/v1/streams/';
const NAME = `${PREFIX}{id}`;

export const STREAM_OPERATIONS: readonly Operation[] = [
  {
    id: 'resumeStream',
    method: 'GET',
    path: NAME,
    summary: 'Reads on a stream begun with x-firstlight-resume: 1, after the event that the header Last-Event-ID names',
    headers: ['last-event-id'],
    answers: { 200: { events: 'StreamEvent', headers: ['x-firstlight-stream'] } },
  },
  {
    id: 'endStream',
    method: 'DELETE',
    path: NAME,
    summary: 'Ends such a stream, and the work for it',
    answers: { 204: {} },
  },
];

export interface StreamRouteContext {
  readonly streams: StreamStore;
  ownerOf(request: HttpRequest): string;
}

/** Undefined for other paths. */
export const streamRouteOf = (path: string, { streams, ownerOf }: StreamRouteContext): PlainRoute | undefined => {
  if (!path.startsWith(PREFIX)) return undefined;
  const find = (request: HttpRequest): ResumableStream => {
    const id = decodeRest(path, PREFIX);
    const stream = streams.find(id, ownerOf(request));
    if (stream !== undefined) return stream;
    throw new EngineError('not_found', `there is no stream '${id}', or not any more: send the request again`, {
      reason: 'stream_not_found',
    });
  };
  return {
    name: NAME,
    methods: ['GET', 'DELETE'],
    answer: (request, reply) => {
      const stream = find(request);
      if (request.method === 'DELETE') {
        streams.forget(stream);
        return reply.text(204, '');
      }
      const lastNumber = numberOf(request.headers.get('last-event-id'));
      stream.check(lastNumber);
      return stream.read(reply.stream({ ...SSE_HEADERS, [STREAM_HEADER]: stream.id }), request.signal, lastNumber);
    },
  };
};

const numberOf = (lastEventId: string | undefined): number => {
  if (lastEventId === undefined || lastEventId === '') return 0;
  return /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : Number.NaN;
};
