/** `POST /api/models/pull` and `DELETE /api/models/{id}`: the machine's owner fetches and removes models. */
import { z } from 'zod';
import type { ModelDescription } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { readBody } from './body.ts';
import { parseBody } from './dialects/body-schema.ts';
import { parseJson } from './json-body.ts';
import type { ModelStore } from './model-store.ts';
import { storedModelBody } from './models-route.ts';
import type { Operation } from './operation.ts';
import { decodeRest, type PlainRoute } from './plain-route.ts';
import { PullStream } from './pull-stream.ts';
import type { Reply } from './reply.ts';

export interface StoreContext {
  readonly store: ModelStore;
  /** The served one. */
  readonly model: ModelDescription;
  readonly pingIntervalMs: number;
  /** Aborts when the server drains: what is being fetched stops, and goes on another time. */
  readonly stopping: AbortSignal;
  /** Makes anything thrown an error that clients may see. */
  toEngineError(error: unknown, reply: Reply): EngineError;
}

const PREFIX = '/api/models/';
const PULL_PATH = `${PREFIX}pull`;
const MAX_BODY_BYTES = 64 * 1024;
const MAX_NAME_LENGTH = 2048;

const pullSchema = z.object({ model: z.string().min(1).max(MAX_NAME_LENGTH) });

/** For programs on the server's own machine. */
export const STORE_OPERATIONS: readonly Operation[] = [
  {
    id: 'pullModel',
    method: 'POST',
    path: PULL_PATH,
    summary: 'Fetch a model from the hub',
    body: pullSchema,
    answers: { 200: { events: 'PullEvent' } },
    // Where there is no store, there is no such path.
    errors: [404, 409],
    access: 'this machine',
  },
  {
    id: 'removeModel',
    method: 'DELETE',
    path: `${PREFIX}{id}`,
    summary: 'Remove an installed model',
    answers: { 200: 'ModelsRemoved' },
    errors: [409],
    access: 'this machine',
  },
];

/** Undefined for paths that are not below `/api/models/`. */
export const storeRouteOf = (path: string, context: StoreContext): PlainRoute | undefined => {
  if (path === PULL_PATH) return pullRoute(context);
  return path.startsWith(PREFIX) && path.length > PREFIX.length ? removalRoute(path, context) : undefined;
};

const pullRoute = ({ store, pingIntervalMs, stopping, toEngineError }: StoreContext): PlainRoute => ({
  name: PULL_PATH,
  methods: ['POST'],
  access: 'this machine',
  async answer(request, reply) {
    const { model } = parseBody(pullSchema, parseJson(await readBody(request, MAX_BODY_BYTES)));
    const stream = new PullStream(reply, pingIntervalMs);
    const signal = AbortSignal.any([request.signal, stopping]);
    try {
      const pulled = await store.pull(model, (progress) => stream.progress(progress), signal);
      stream.send({ type: 'done', model: storedModelBody(pulled) });
    } catch (error) {
      const known = stopping.aborted ? stopped(model) : toEngineError(error, reply);
      // What the hub answers is told in the stream: its 401 is not ours.
      if (!reply.hasBegun && isRefusal(known)) throw known;
      stream.send({ type: 'error', code: known.code, message: known.message });
    } finally {
      stream.end();
    }
  },
});

const isRefusal = ({ code }: EngineError): boolean =>
  code === 'invalid_request' || code === 'conflict' || code === 'shutting_down';

const stopped = (model: string): EngineError =>
  new EngineError('shutting_down', `${model}: the server is shutting down; asking again goes on where it stopped`);

const removalRoute = (path: string, { store, model }: StoreContext): PlainRoute => ({
  name: `${PREFIX}{id}`,
  methods: ['DELETE'],
  access: 'this machine',
  async answer(_request, reply) {
    const id = decodeRest(path, PREFIX);
    if (id === model.id) {
      throw new EngineError('conflict', `${id}: is the model that this server serves; stop the server first`);
    }
    const { ids, freedBytes } = await store.remove(id);
    reply.json(200, { deleted: ids, freedBytes });
  },
});
