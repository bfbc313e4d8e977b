/** One request and its answer over node:http. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BodyCollector } from '../body.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';

const STALLED_READER_MS = 60_000;

const headerMap = (message: IncomingMessage): Map<string, string> => {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
};

export const adaptRequest = (message: IncomingMessage, signal: AbortSignal): HttpRequest => {
  const url = message.url ?? '/';
  const queryStart = url.indexOf('?');
  const headers = headerMap(message);
  return {
    method: message.method ?? 'GET',
    path: queryStart < 0 ? url : url.slice(0, queryStart),
    query: new URLSearchParams(queryStart < 0 ? '' : url.slice(queryStart + 1)),
    headers,
    remoteAddress: message.socket.remoteAddress ?? '',
    signal,
    body: (maxBytes, held) => {
      const collector = new BodyCollector({ headers, signal }, maxBytes, held);
      message.on('data', (chunk: Buffer) => collector.push(chunk));
      message.on('end', () => collector.finish());
      return collector.result;
    },
  };
};

export class NodeHttpResponse implements HttpResponse {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  #streaming = false;

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
    response.on('drain', () => response.socket?.setTimeout(0));
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    if (this.#signal.aborted) return;
    this.#response.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.#response.setHeader(name, value);
  }

  write(text: string): boolean {
    if (this.#signal.aborted) return true;
    this.#streaming = true;
    if (this.#response.write(text)) return true;
    // A socket that moves nothing this long is destroyed, so a client that never reads again cannot hold up a drain.
    this.#response.socket?.setTimeout(STALLED_READER_MS);
    return false;
  }

  drained(): Promise<void> {
    if (this.#signal.aborted || !this.#response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#response.off('drain', done);
        this.#signal.removeEventListener('abort', done);
        resolve();
      };
      this.#response.on('drain', done);
      this.#signal.addEventListener('abort', done);
    });
  }

  end(body: string | Uint8Array = ''): void {
    if (this.#signal.aborted) return;
    if (!this.#streaming && this.#response.statusCode !== 204) {
      this.#response.setHeader('content-length', Buffer.byteLength(body));
    }
    this.#response.end(body);
  }
}
