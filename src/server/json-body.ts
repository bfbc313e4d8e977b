/** Request bodies as JSON, refused before they can hurt whoever walks them. */
import { EngineError } from '../runtime/errors.ts';
import { readBody } from './body.ts';
import type { HeldBody } from './body-budget.ts';
import type { HttpRequest } from './http.ts';

/** No honest body comes near; deeper ones overflow the stack of what clones them for another thread. */
const MAX_DEPTH = 128;

/** A form is what `curl -d` calls whatever it sends. */
const FORM = /^application\/x-www-form-urlencoded\b/i;
/** A slip in JSON is told as one, whatever it was sent as. */
const BEGINS_AS_JSON = /^\s*[{[]/;
/** What may hold JSON: its own types, those of clients that say nothing better, and no type at all. */
const MAYBE_JSON = /^\s*$|^[\w.+-]+\/(?:[\w.+-]+\+)?json\b|^text\/plain\b|^application\/octet-stream\b/i;

/**
 * A request's body as JSON. Call it in the listener's own turn.
 * @param held counts its bytes
 * @throws EngineError unsupported_media_type for a body that calls itself something else; as `readBody` and `parseJson`
 */
export const readJson = async (request: HttpRequest, maxBytes: number, held?: HeldBody): Promise<unknown> => {
  const type = request.headers.get('content-type') ?? '';
  const isForm = FORM.test(type);
  if (!isForm && !MAYBE_JSON.test(type)) throw notJson(type);
  const body = await readBody(request, maxBytes, held);
  try {
    return parseJson(body);
  } catch (error) {
    throw isForm && !BEGINS_AS_JSON.test(Buffer.from(body).toString('latin1', 0, MAX_QUOTED_LENGTH))
      ? notJson(type)
      : error;
  }
};

const notJson = (type: string): EngineError =>
  new EngineError(
    'unsupported_media_type',
    `the content-type is '${type.slice(0, MAX_QUOTED_LENGTH)}': send JSON, as application/json`,
  );

const MAX_QUOTED_LENGTH = 60;

/** @throws EngineError invalid_request when the body is no UTF-8, no JSON, or nested too deeply */
export const parseJson = (body: Uint8Array): unknown => {
  if (!isShallow(body)) throw tooDeep();
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    // The parser's own message quotes the body.
    const what = error instanceof SyntaxError ? 'valid JSON' : 'valid UTF-8';
    throw invalid(`the request body (${body.byteLength} bytes) is not ${what}`);
  }
};

/**
 * A value that came in another form than JSON, if JSON could say it.
 * @throws EngineError invalid_request when it has something else in it, or is nested too deeply
 */
export const checkPlain = (value: unknown): unknown => {
  const waiting: (readonly [value: unknown, depth: number])[] = [[value, 0]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [inner, depth] = next;
    if (inner === null || typeof inner === 'string' || typeof inner === 'boolean' || Number.isFinite(inner)) continue;
    if (!isPlainObject(inner)) throw invalid('the request body has a value that JSON has no word for');
    if (depth === MAX_DEPTH) throw tooDeep();
    for (const each of Object.values(inner)) waiting.push([each, depth + 1]);
  }
  return value;
};

const isPlainObject = (value: unknown): value is object =>
  Array.isArray(value) ||
  (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype);

const tooDeep = (): EngineError =>
  invalid(`the request body nests arrays and objects more than ${MAX_DEPTH} deep: flatten it`);

const invalid = (message: string): EngineError =>
  new EngineError('invalid_request', message, { reason: 'invalid_json' });

const [QUOTE, BACKSLASH] = Buffer.from('"\\');
const OPENING: ReadonlySet<number> = new Set(Buffer.from('[{'));
const CLOSING: ReadonlySet<number> = new Set(Buffer.from(']}'));

/** Counts brackets outside of strings; what is no JSON is not its business. */
const isShallow = (json: Uint8Array): boolean => {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < json.length; index++) {
    const byte = json[index]!;
    if (isInString) {
      if (byte === BACKSLASH) index++;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) isInString = true;
    else if (OPENING.has(byte)) {
      if (++depth > MAX_DEPTH) return false;
    } else if (CLOSING.has(byte)) depth--;
  }
  return true;
};
