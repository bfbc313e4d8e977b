/** `GET /v1/models` and `/v1/models/{id}`: one body that both vendors' SDKs read, and what we know beyond it. */
import type { ModelDescription } from '../runtime/api.ts';
import { isClaudeName } from './dialects/anthropic-messages.ts';
import { modelNotFound } from './dialects/openai.ts';
import type { HttpRequest } from './http.ts';
import type { ModelStore, StoredModel } from './model-store.ts';
import type { Operation } from './operation.ts';
import { decodeRest, type PlainRoute, readRoute } from './plain-route.ts';

interface ModelBody {
  readonly id: string;
  readonly [field: string]: unknown;
}

interface ModelFacts {
  readonly id: string;
  readonly createdAt: number;
  readonly contextLength: number | undefined;
}

const PREFIX = '/v1/models/';

export const MODEL_OPERATIONS: readonly Operation[] = [
  { method: 'GET', path: '/v1/models', summary: 'The served model, then what is installed' },
  { method: 'GET', path: `${PREFIX}{id}`, summary: 'One model' },
];

const modelBody = ({ id, createdAt, contextLength }: ModelFacts) => ({
  id,
  object: 'model',
  type: 'model',
  created: createdAt,
  created_at: new Date(createdAt * 1000).toISOString(),
  owned_by: 'firstlight',
  display_name: id,
  max_input_tokens: contextLength ?? null,
  max_tokens: contextLength ?? null,
  capabilities: null,
  context_length: contextLength ?? null,
});

/** The entry of a model of the store. */
export const storedModelBody = (stored: StoredModel): ModelBody => ({
  ...modelBody(stored),
  ...fileFields(stored),
  served: stored.isServed,
  ...(stored.error === undefined ? {} : { error: { code: stored.error.code, message: stored.error.message } }),
});

const fileFields = ({ format, sizeBytes }: StoredModel) => ({ format, size_bytes: sizeBytes });

/** The served model first, once, under the name it is served by. */
const modelBodies = async (model: ModelDescription, store: ModelStore | undefined): Promise<ModelBody[]> => {
  const stored = (await store?.list()) ?? [];
  const loaded = stored.find(({ isServed }) => isServed);
  const served: ModelBody = {
    ...modelBody(model),
    ...(loaded ? fileFields(loaded) : {}),
    tasks: [...(model.generates ? ['generate'] : []), ...(model.embedding ? ['embed'] : [])],
    ...(model.embedding ? { embedding: model.embedding } : {}),
    served: true,
  };
  return [served, ...stored.filter(({ id, isServed }) => !isServed && id !== model.id).map(storedModelBody)];
};

export const modelListRoute = (model: ModelDescription, store: ModelStore | undefined): PlainRoute =>
  readRoute('/v1/models', async (_request, reply) => {
    const data = await modelBodies(model, store);
    reply.json(200, { object: 'list', data, has_more: false, first_id: model.id, last_id: data.at(-1)?.id });
  });

/** Undefined for paths that are not below `/v1/models/`. */
export const modelRouteOf = (
  path: string,
  model: ModelDescription,
  store: ModelStore | undefined,
): PlainRoute | undefined => {
  if (!path.startsWith(PREFIX)) return undefined;
  return readRoute(`${PREFIX}{id}`, async (request, reply) => {
    const name = decodeRest(path, PREFIX);
    const wanted = isAlias(name, request) ? model.id : name;
    const found = (await modelBodies(model, store)).find(({ id }) => id === wanted);
    if (!found) throw modelNotFound(name, model);
    reply.json(200, found);
  });
};

const isAlias = (name: string, request: HttpRequest): boolean =>
  isClaudeName(name) && request.headers.has('anthropic-version');
