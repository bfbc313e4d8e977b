/** Request bodies as JSON, refused before they can hurt whoever walks them. */
import { EngineError } from '../runtime/errors.ts';

/** No honest body comes near; deeper ones overflow the stack of what clones them for another thread. */
const MAX_DEPTH = 128;

/** @throws EngineError invalid_request when the body is no UTF-8, no JSON, or nested too deeply */
export const parseJson = (body: Uint8Array): unknown => {
  if (!isShallow(body)) {
    throw invalid(`the request body nests arrays and objects more than ${MAX_DEPTH} deep: flatten it`);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    // The parser's own message quotes the body.
    const what = error instanceof SyntaxError ? 'valid JSON' : 'valid UTF-8';
    throw invalid(`the request body (${body.byteLength} bytes) is not ${what}`);
  }
};

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
