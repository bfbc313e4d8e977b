/** The events of one answer over HTTP; a lost connection is taken up again where it broke. */
import { backOff } from './backoff.ts';
import { ApiError, ConnectionError } from './client-error.ts';
import type { Endpoint } from './endpoint.ts';
import { type SseEvent, SseParser } from './sse-parser.ts';

export interface SseOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof globalThis.fetch;
  /** Attempts in a row without a new event. */
  readonly maxReconnects: number;
}

/** @throws ApiError, ConnectionError, the signal's reason */
export async function* sseEvents(
  options: SseOptions,
  endpoint: Endpoint,
  body: object,
  signal: AbortSignal,
): AsyncGenerator<object> {
  const { baseUrl, fetch } = options;
  const headers = headersOf(options);
  const answer = await fetch(baseUrl + endpoint.path, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', 'x-firstlight-resume': '1' },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  const streamId = answer.headers.get('x-firstlight-stream');
  const streamUrl = streamId === null ? undefined : `${baseUrl}/v1/streams/${streamId}`;
  let hasEnded = false;
  try {
    for await (const data of resumed(options, answer, streamUrl, signal)) {
      hasEnded = data === '[DONE]';
      if (hasEnded) return;
      const event = JSON.parse(data) as object;
      hasEnded = 'error' in event || endpoint.isLast(event);
      if ('error' in event) throw new ApiError(undefined, event);
      yield event;
      if (hasEnded) return;
    }
  } finally {
    // Hanging up is not enough: the server would wait for us to come back. Where it cannot be reached, it does.
    if (!hasEnded && streamUrl !== undefined) fetch(streamUrl, { method: 'DELETE', headers }).catch(() => undefined);
  }
}

/** The data of the answer's events, across as many connections as it takes. Never ends by itself. */
async function* resumed(
  options: SseOptions,
  first: Response,
  streamUrl: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { fetch, maxReconnects } = options;
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
    if (streamUrl === undefined || numFailures >= maxReconnects) {
      throw new ConnectionError(`the connection was lost within the answer; ${numFailures} attempts to go on failed`);
    }
    await backOff(numFailures, signal);
    const headers = { ...headersOf(options), 'last-event-id': lastEventId };
    answer = await reached(fetch(streamUrl, { headers, signal }), signal);
  }
}

const headersOf = ({ apiKey }: SseOptions): Record<string, string> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

/** Undefined when the server could not be reached. */
const reached = async (answer: Promise<Response>, signal: AbortSignal): Promise<Response | undefined> => {
  try {
    return await answer;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
};

const accepted = async (answer: Response): Promise<Response> => {
  if (answer.ok) return answer;
  const text = await answer.text();
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Whatever stands between us and the server may answer in its own words.
  }
  throw new ApiError(answer.status, body);
};

/** Ends when the body ends, and also when it breaks off: what was lost is asked for again. */
async function* readEvents(answer: Response, signal: AbortSignal): AsyncGenerator<SseEvent> {
  if (answer.body === null) return;
  const parser = new SseParser();
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const piece = await reader.read().catch(() => undefined);
      signal.throwIfAborted();
      if (piece === undefined || piece.done) return;
      yield* parser.push(decoder.decode(piece.value as Uint8Array, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined); // It has broken off, then.
  }
}
