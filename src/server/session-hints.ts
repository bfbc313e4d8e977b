/** What a request says of its session and its cache: headers first, then the body fields that count here. */
import type { CacheHints } from '../runtime/api.ts';
import type { SESSION_FIELDS } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import type { BodyHints } from './dialects/dialect.ts';
import type { RequestHead } from './http.ts';

/** Which of them name a session is the server's choice; the first that a body has counts. */
export type SessionField = (typeof SESSION_FIELDS)[number];

/** Headers that name one conversation. */
const SESSION_HEADERS = ['x-session-id', 'x-agent-id'] as const;

/** A user, or a cache key, stands for whoever sends it: several conversations live under one. */
const PREFIXES: Readonly<Record<SessionField, string>> = {
  prompt_cache_key: 'key:',
  user: 'user:',
  'metadata.user_id': 'user:',
};

const MAX_ID_LENGTH = 512;
/** Letters, marks, numbers, punctuation, symbols, spaces. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]+$/u;

/** The id as it came. @throws EngineError invalid_request when it is empty, too long, or has characters that do not print */
export const checkSessionId = (id: string, param: string): string => {
  const fault =
    id === ''
      ? 'must not be empty'
      : id.length > MAX_ID_LENGTH
        ? `must have at most ${MAX_ID_LENGTH} characters, has ${id.length}`
        : PRINTABLE.test(id)
          ? undefined
          : 'must have printable characters only';
  if (fault === undefined) return id;
  throw new EngineError('invalid_request', `${param}: ${fault}`, { param, reason: 'invalid_session_id' });
};

/** @throws EngineError invalid_request for a name that is none */
export const cacheHints = (
  request: Pick<RequestHead, 'headers'>,
  owner: string,
  body: BodyHints | undefined,
  fields: readonly SessionField[],
): CacheHints => {
  const session = sessionOfHeaders(request) ?? sessionOfBody(body, fields);
  return {
    owner,
    ...(session === undefined ? {} : { session }),
    ...(body?.pinSeconds === undefined ? {} : { pinSeconds: body.pinSeconds }),
  };
};

const sessionOfHeaders = ({ headers }: Pick<RequestHead, 'headers'>): string | undefined => {
  const name = SESSION_HEADERS.find((header) => headers.has(header));
  return name === undefined ? undefined : checkSessionId(headers.get(name) ?? '', name);
};

const sessionOfBody = (body: BodyHints | undefined, fields: readonly SessionField[]): string | undefined => {
  for (const field of fields) {
    const id = body?.sessions?.[field];
    // Clients write an empty text for none.
    if (id) return PREFIXES[field] + checkSessionId(id, field);
  }
  return undefined;
};
