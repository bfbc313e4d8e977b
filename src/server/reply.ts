/** One request's answer: adds the headers every answer has, and remembers what was sent, for the log and the metrics. */
import { randomUUID } from 'node:crypto';
import type { Usage } from '../runtime/api.ts';
import { SSE_HEADERS, sseText } from './dialects/sse.ts';
import type { ExchangeReply, FrameStream } from './generate.ts';
import type { HttpResponse, RequestHead } from './http.ts';

const UPGRADED = 101;

/** `elapsedMs`: from the request's arrival to the answer's head. */
type TimedHeaders = (elapsedMs: number) => Readonly<Record<string, string>>;

export const newRequestId = (): string => `req_${randomUUID().replaceAll('-', '')}`;

export class Reply implements ExchangeReply {
  readonly requestId: string;
  /** `performance.now()` at the request's arrival. */
  readonly arrivedMs = performance.now();
  /** Of the path, so that metrics have few labels. */
  route = 'unmatched';
  /** Of the whole request; absent when nothing was generated. */
  usage: Usage | undefined;
  readonly #response: HttpResponse;
  readonly #request: RequestHead;
  #status = 0;
  #commonHeaders: Readonly<Record<string, string>>;
  #timedHeaders: TimedHeaders = () => ({});

  constructor(requestId: string, request: RequestHead, response: HttpResponse) {
    this.requestId = requestId;
    this.#request = request;
    this.#response = response;
    this.#commonHeaders = { 'x-request-id': requestId, 'request-id': requestId };
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  addHeaders(headers: Readonly<Record<string, string>>): void {
    this.#commonHeaders = { ...this.#commonHeaders, ...headers };
  }

  /** Headers that tell how long the answer took, or a stream to begin. */
  timeHeaders(headers: TimedHeaders): void {
    this.#timedHeaders = headers;
  }

  get hasBegun(): boolean {
    return this.#status !== 0;
  }

  /** What was sent; 499, nginx's number, when the client left before the end. */
  get status(): number {
    if (this.#status === UPGRADED) return UPGRADED;
    return this.#request.signal.aborted ? 499 : this.#status;
  }

  json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): void {
    this.text(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
  }

  text(status: number, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): void {
    this.#head(status, headers);
    this.#response.end(body);
  }

  /** Begins a stream: `write` and `end` of the response follow. */
  stream(headers: Readonly<Record<string, string>>): HttpResponse {
    this.#head(200, headers);
    return this.#response;
  }

  /** The connection becomes a WebSocket: nothing more is sent here. */
  upgraded(): void {
    this.#status = UPGRADED;
  }

  /** Begins a stream of server-sent events. */
  frames(): FrameStream {
    const response = this.stream(SSE_HEADERS);
    return {
      write: (frames) => response.write(sseText(frames)),
      drained: () => response.drained(),
      end: () => response.end(),
    };
  }

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#status = status;
    const timedHeaders = this.#timedHeaders(performance.now() - this.arrivedMs);
    this.#response.head(status, { ...this.#commonHeaders, ...timedHeaders, ...headers });
  }
}
