/** One request's answer: adds the headers every answer has, and remembers what was sent, for the log and the metrics. */
import type { Usage } from '../runtime/api.ts';
import type { HttpRequest, HttpResponse } from './http.ts';

export class Reply {
  readonly requestId: string;
  /** `performance.now()` at the request's arrival. */
  readonly arrivedMs = performance.now();
  /** Of the path, so that metrics have few labels. */
  route = 'unmatched';
  /** Of the whole request; absent when nothing was generated. */
  usage: Usage | undefined;
  readonly #response: HttpResponse;
  readonly #request: HttpRequest;
  #status = 0;
  #commonHeaders: Readonly<Record<string, string>>;

  constructor(requestId: string, request: HttpRequest, response: HttpResponse) {
    this.requestId = requestId;
    this.#request = request;
    this.#response = response;
    this.#commonHeaders = { 'x-request-id': requestId, 'request-id': requestId };
  }

  get elapsedMs(): number {
    return performance.now() - this.arrivedMs;
  }

  addHeaders(headers: Readonly<Record<string, string>>): void {
    this.#commonHeaders = { ...this.#commonHeaders, ...headers };
  }

  get hasBegun(): boolean {
    return this.#status !== 0;
  }

  /** What was sent; 499, nginx's number, when the client left before the end. */
  get status(): number {
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

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#status = status;
    this.#response.head(status, { ...this.#commonHeaders, ...headers });
  }
}
