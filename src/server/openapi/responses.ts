/** Answers as OpenAPI writes them: what an operation answers when all goes well, and every error that it may answer with. */
import { isVendorPath } from '../dialects/index.ts';
import type { AnswerForms, Operation, SocketOperation } from '../operation.ts';
import { ANSWER_HEADERS, type AnswerHeaderName } from './answer-headers.ts';
import { type Json, schemaRef } from './component-schemas.ts';
import type { SchemaName } from './schemas/index.ts';

const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';

const EVERY_ANSWER: readonly AnswerHeaderName[] = ['x-request-id', 'request-id'];
const OPENAI_ANSWER: readonly AnswerHeaderName[] = ['openai-version', 'openai-processing-ms'];

const headersOf = (names: readonly AnswerHeaderName[]): Json =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

interface ErrorKind {
  readonly name: string;
  readonly description: string;
  readonly headers?: readonly AnswerHeaderName[];
}

const RETRY: readonly AnswerHeaderName[] = ['retry-after'];
/** A failure may come after the cache was looked at. */
const CACHE: readonly AnswerHeaderName[] = ['x-firstlight-cache'];

const OTHER_ERROR: ErrorKind = { name: 'OtherError', description: 'Any other error.', headers: CACHE };

const ERRORS: Readonly<Record<number, ErrorKind>> = {
  400: { name: 'BadRequest', description: 'The request asks for something wrong, or for what is not supported.' },
  401: { name: 'Unauthorized', description: 'There is no key, or it is not one of the server’s.' },
  403: { name: 'Forbidden', description: 'The Host or the Origin may not call this server, or not this route.' },
  404: { name: 'NotFound', description: 'There is no such thing, or it is another’s.' },
  405: { name: 'MethodNotAllowed', description: 'The path answers other methods; the header `allow` names them.' },
  409: { name: 'Conflict', description: 'What is there stands against it.' },
  413: { name: 'TooLarge', description: 'The body is beyond the server’s limit, as sent or decompressed.' },
  415: { name: 'UnsupportedMediaType', description: 'The body’s content-encoding is not known.' },
  429: { name: 'Overloaded', description: 'Too much is in flight: ask again later.', headers: RETRY },
  500: { name: 'InternalError', description: 'A fault of the server; its log tells more.', headers: CACHE },
  503: {
    name: 'Unavailable',
    description: 'The server is shutting down, or its GPU is in trouble.',
    headers: [...RETRY, ...CACHE],
  },
  507: { name: 'DiskFull', description: 'The disk is full.' },
  529: { name: 'Overloaded', description: 'Too much is in flight: ask again later.', headers: RETRY },
};

const ENVELOPES = { openai: 'OpenAIError', anthropic: 'AnthropicError', any: 'AnyError' } as const;
const PREFIXES = { openai: 'OpenAI', anthropic: 'Anthropic', any: '' } as const;

type Envelope = keyof typeof ENVELOPES;

/** Reusable answers for errors, each once for each envelope that `paths` has it in. */
export const errorResponses = (paths: Json): Json => {
  const text = JSON.stringify(paths);
  const isUsed = (kind: ErrorKind, envelope: Envelope): boolean => text.includes(`"${errorRef(kind, envelope).$ref}"`);
  return Object.fromEntries(
    (['openai', 'anthropic', 'any'] as const).flatMap((envelope) =>
      [...Object.values(ERRORS), OTHER_ERROR]
        .filter((kind) => isUsed(kind, envelope))
        .map(({ name, description, headers = [] }) => [
          PREFIXES[envelope] + name,
          {
            description,
            // OpenAI's version and times are on every error in OpenAI's form.
            headers: headersOf([...EVERY_ANSWER, ...(envelope === 'anthropic' ? [] : OPENAI_ANSWER), ...headers]),
            content: { [JSON_TYPE]: { schema: schemaRef(ENVELOPES[envelope]) } },
          },
        ]),
    ),
  );
};

const errorRef = (kind: ErrorKind, envelope: Envelope): Json => ({
  $ref: `#/components/responses/${PREFIXES[envelope]}${kind.name}`,
});

/** Errors that follow from what an operation reads. */
const errorStatuses = ({ path, body, takes, query, access, errors = [] }: Operation): readonly number[] => {
  if (access === 'everyone') return [403, 503, ...errors];
  const readsBody = body !== undefined || takes !== undefined;
  return [
    ...new Set([
      401,
      403,
      500,
      ...(access === 'probes' ? [] : [503]),
      ...(readsBody || query !== undefined || path.includes('{') ? [400] : []),
      ...(readsBody ? [413, 415] : []),
      ...(path.includes('{') ? [404] : []),
      ...errors,
    ]),
  ];
};

/** Every answer of an operation, by status. */
export const responsesOf = (operation: Operation): Json => {
  const envelope = operation.dialect ?? 'any';
  const answers = Object.entries(operation.answers).map(([status, answer]) => [status, answerOf(operation, answer)]);
  const errors = errorStatuses(operation)
    .filter((status) => !(status in operation.answers))
    .map((status) => [status, errorRef(ERRORS[status] ?? OTHER_ERROR, envelope)]);
  return { ...Object.fromEntries([...answers, ...errors]), default: errorRef(OTHER_ERROR, envelope) };
};

const isOpenai = ({ path, dialect }: Operation): boolean =>
  dialect === 'openai' || (dialect === undefined && isVendorPath(path));

const answerOf = (operation: Operation, answer: SchemaName | AnswerForms): Json => {
  const {
    description,
    json,
    events,
    types = [],
    headers = [],
  }: AnswerForms = typeof answer === 'string' ? { json: answer } : answer;
  const content = {
    ...(json === undefined ? {} : { [JSON_TYPE]: { schema: schemaRef(json) } }),
    // OpenAPI 3.1 has no word for the events of a stream: as in OpenAI's own description, the schema is that of each.
    ...(events === undefined ? {} : { [SSE_TYPE]: { schema: schemaRef(events) } }),
    ...Object.fromEntries(types.map((type) => [type, otherContent(type)])),
  };
  return {
    description: description ?? (Object.keys(content).length === 0 ? 'Done.' : describe(json, events)),
    headers: headersOf([...EVERY_ANSWER, ...(isOpenai(operation) ? OPENAI_ANSWER : []), ...headers]),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
};

const describe = (json: SchemaName | undefined, events: SchemaName | undefined): string => {
  if (json === undefined)
    return events === undefined
      ? 'As the content type says.'
      : 'A stream of events: the schema is that of the `data` of each.';
  return events === undefined
    ? 'The answer.'
    : 'The whole answer; where `stream` is true, a stream of events, whose schema is that of the `data` of each.';
};

const otherContent = (type: string): Json => {
  if (type === JSON_TYPE) return { schema: { type: 'object' } };
  return type === 'application/octet-stream' ? {} : { schema: { type: 'string' } };
};

/** A handshake's answers. */
export const socketResponses = ({ dialect }: SocketOperation): Json => ({
  101: {
    description: 'From now on both sides send frames.',
    headers: {
      'sec-websocket-protocol': { description: 'The sub-protocol that was agreed on.', schema: { type: 'string' } },
    },
  },
  ...Object.fromEntries([400, 401, 403, 405, 503].map((status) => [status, errorRef(ERRORS[status]!, dialect)])),
  [dialect === 'openai' ? 429 : 529]: errorRef(ERRORS[429]!, dialect),
  default: errorRef(OTHER_ERROR, dialect),
});

export const headerComponents = (): Json => ({ ...ANSWER_HEADERS });
