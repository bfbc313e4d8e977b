/** `GET /v1/models` and `/v1/models/{id}`: one body that both vendors' SDKs read, and what we know beyond it. */
import type { ModelDescription } from '../runtime/api.ts';
import { isClaudeName } from './dialects/anthropic-messages.ts';
import { invalidParam } from './dialects/body-schema.ts';
import { modelNotFound } from './dialects/openai.ts';
import type { HttpRequest } from './http.ts';
import type { ModelStore, StoredModel } from './model-store.ts';
import type { Operation } from './operation.ts';
import { limitParameter, type PageLimit, pageLimit } from './page-limit.ts';
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
const PAGE: PageLimit = { max: 1000 };

export const MODEL_OPERATIONS: readonly Operation[] = [
  {
    id: 'listModels',
    method: 'GET',
    path: '/v1/models',
    summary: 'The served model, then what is installed',
    query: {
      limit: limitParameter(PAGE),
      after_id: { description: 'only those after this model' },
      before_id: { description: 'only those before this model' },
      client_version: {
        description: 'as Codex sends it: its catalog of models, which is empty, comes beside the list',
      },
    },
    headers: ['anthropic-version'],
    answers: { 200: 'ModelList' },
  },
  {
    id: 'getModel',
    method: 'GET',
    path: `${PREFIX}{id}`,
    summary: 'One model',
    headers: ['anthropic-version'],
    answers: { 200: 'Model' },
  },
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
  deprecated_at: null,
  lifecycle: 'active',
  line: null,
  retires_at: null,
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
  readRoute('/v1/models', async ({ query, headers }, reply) => {
    const models = await modelBodies(model, store);
    const listed = CLAUDE_CODE.test(headers.get('user-agent') ?? '') ? [...models, aliasOf(models[0]!)] : models;
    const { data, hasMore } = pageOf(listed, query);
    const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    const catalog = query.has('client_version') ? CODEX_CATALOG : {};
    reply.json(200, { object: 'list', data, has_more: hasMore, ...ends, ...catalog });
  });

/**
 * Codex asks for a catalog of its own, adds what is in it to the one it has, and logs an error where there is none. An
 * entry would have to bring Codex's own instructions; the model that its configuration names needs none.
 */
const CODEX_CATALOG = { models: [] };

/** It offers the models with Claude in their name alone; all such names mean the served one. */
const CLAUDE_CODE = /^claude-(cli|code)\b/;

const aliasOf = (served: ModelBody): ModelBody => ({ ...served, id: `claude-${served.id}` });

interface Page {
  readonly data: readonly ModelBody[];
  /** In the direction in which the client goes. */
  readonly hasMore: boolean;
}

/** Source: the parameters of Anthropic's list; OpenAI's has none. @throws EngineError invalid_request */
const pageOf = (models: readonly ModelBody[], query: URLSearchParams): Page => {
  const limit = pageLimit(query, PAGE);
  const before = placeOf(models, query, 'before_id') ?? models.length;
  const after = placeOf(models, query, 'after_id') ?? -1;
  const range = models.slice(after + 1, before);
  const data = query.has('before_id') ? range.slice(-limit) : range.slice(0, limit);
  return { data, hasMore: range.length > limit };
};

const placeOf = (models: readonly ModelBody[], query: URLSearchParams, param: string): number | undefined => {
  const wanted = query.get(param);
  if (wanted === null) return undefined;
  const place = models.findIndex(({ id }) => id === wanted);
  if (place >= 0) return place;
  throw invalidParam(param, `there is no model '${wanted}' in the list`);
};

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
