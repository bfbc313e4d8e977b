/** The events of one answer over HTTP; a lost connection is taken up again where it broke. */
import { backOff } from './backoff.ts';
import { ApiError, ConnectionError } from './client-error.ts';
import type { Endpoint } from './endpoint.ts';
import { accepted, type HttpOptions, keyHeaders, request } from './http.ts';
import { type SseEvent, SseParser } from './sse-parser.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface SseOptions extends HttpOptions {
  /** Attempts in a row without a new event. */
  readonly maxReconnects: number;
}

/** How long a request that is given up may still tell the name of its stream. */
const LEAVING_MS = 1_000;

/** @throws ApiError, ConnectionError, the signal's reason */
export async function* sseEvents(
  options: SseOptions,
  endpoint: Endpoint,
  body: object,
  signal: AbortSignal,
): AsyncGenerator<object> {
  const answer = await begin(options, endpoint, body, signal);
  const streamPath = streamPathOf(answer);
  let hasEnded = false;
  try {
    for await (const data of resumed(options, answer, streamPath, signal)) {
      hasEnded = data === '[DONE]';
      if (hasEnded) return;
      const event = JSON.parse(data) as object;
      hasEnded = 'error' in event || endpoint.isLast(event);
      if ('error' in event) throw new ApiError(undefined, event);
      yield event;
      if (hasEnded) return;
    }
  } finally {
    if (!hasEnded) endStream(options, streamPath);
  }
}

/**
 * Sends the request. One that is left now may have begun a stream whose name is still on its way: it is waited for, in
 * the background, so that the stream can be ended.
 */
const begin = async (options: SseOptions, { path }: Endpoint, body: object, signal: AbortSignal): Promise<Response> => {
  const hangingUp = new AbortController();
  const answer = request(options, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-firstlight-resume': '1' },
    body: JSON.stringify({ ...body, stream: true }),
    signal: hangingUp.signal,
  });
  try {
    return await unlessAborted(answer, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    const hangUp = (): void => hangingUp.abort(signal.reason);
    const timer = setTimeout(hangUp, LEAVING_MS);
    answer
      .then((late) => endStream(options, streamPathOf(late)))
      .catch(() => undefined) // Nothing has begun, then.
      .then(() => clearTimeout(timer))
      .then(hangUp);
    throw error;
  }
};

const streamPathOf = (answer: Response): string | undefined => {
  const id = answer.headers.get('x-firstlight-stream');
  return id === null ? undefined : `/v1/streams/${id}`;
};

/**
 * Hanging up is not enough: the server would wait for us to come back. Where it cannot be reached, it does. `keepalive`:
 * also from a page that is being left.
 */
const endStream = (options: SseOptions, streamPath: string | undefined): void => {
  if (streamPath === undefined) return;
  request(options, streamPath, { method: 'DELETE', keepalive: true }).catch(() => undefined);
};

/** The data of the answer's events, across as many connections as it takes. Never ends by itself. */
async function* resumed(
  options: SseOptions,
  first: Response,
  streamPath: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { maxReconnects } = options;
  let answer: Response | undefined = first;
  let lastEventId = '0';
  for (let numFailures = 0; ; numFailures++) {
    if (answer !== undefined) {
      for await (const { id, data } of readEvents(await accepted(answer), signal)) {
        numFailures = 0;
        if (id !== '') lastEventId = id;
        yield data;
      }
    }
    if (streamPath === undefined || numFailures >= maxReconnects) {
      throw new ConnectionError(`the connection was lost within the answer; ${numFailures} attempts to go on failed`);
    }
    await backOff(numFailures, signal);
    const headers = { ...keyHeaders(options), 'last-event-id': lastEventId };
    answer = await reached(request(options, streamPath, { headers, signal }));
  }
}

/** Undefined when the server could not be reached. */
const reached = async (answer: Promise<Response>): Promise<Response | undefined> => {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return undefined;
  }
};

/** Ends when the body ends, and also when it breaks off: what was lost is asked for again. */
async function* readEvents(answer: Response, signal: AbortSignal): AsyncGenerator<SseEvent> {
  if (answer.body === null) return;
  const parser = new SseParser();
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  const leave = (): void => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', leave, { once: true });
  try {
    for (;;) {
      const piece = await reader.read().catch(() => undefined);
      signal.throwIfAborted();
      if (piece === undefined || piece.done) return;
      yield* parser.push(decoder.decode(piece.value as Uint8Array, { stream: true }));
    }
  } finally {
    signal.removeEventListener('abort', leave);
    await reader.cancel().catch(() => undefined); // It has broken off, then.
  }
}
