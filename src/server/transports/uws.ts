/**
 * The transport over µWebSockets.js (Node 20 and 22), its only importer. Traps it hides: `res` must not be touched
 * after onAborted; memory passed to callbacks is neutered when they return; every write needs a cork; a false from
 * write means "accepted, now wait"; endWithoutBody(n) leaves the response pending; ports are shared unless exclusive.
 * µWebSockets itself cuts a client that neither reads nor writes for about 12 s, and one that pipelines a request
 * behind an unfinished one.
 */

import * as uws from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { EngineError } from '../../runtime/errors.ts';
import { BodyCollector } from '../body.ts';
import type { HttpRequest, HttpResponse, RequestListener, Transport } from '../http.ts';
import { listenError } from './listen-error.ts';

/** LIBUS_LISTEN_EXCLUSIVE_PORT: exists at run time, but not as a value in the package's types. */
const EXCLUSIVE_PORT = 1;

type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  done: (socket: uws.us_listen_socket | false) => void,
) => void;

/** Copies what the request says: `req` dies when the route's callback returns. */
const adaptRequest = (res: uws.HttpResponse, req: uws.HttpRequest, signal: AbortSignal): HttpRequest => {
  const headers = new Map<string, string>();
  req.forEach((name, value) => {
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  });
  return {
    method: req.getCaseSensitiveMethod().toUpperCase(),
    path: req.getUrl(),
    query: new URLSearchParams(req.getQuery()),
    headers,
    remoteAddress: Buffer.from(res.getRemoteAddressAsText()).toString(),
    signal,
    body: (maxBytes) => {
      const collector = new BodyCollector(maxBytes, headers.get('content-length'), signal);
      res.onData((chunk, isLast) => {
        collector.push(new Uint8Array(chunk.slice(0)));
        if (isLast) collector.finish();
      });
      return collector.result;
    },
  };
};

class UwsResponse implements HttpResponse {
  readonly #res: uws.HttpResponse;
  readonly #signal: AbortSignal;
  readonly #isHead: boolean;
  #status = 200;
  #headers: Readonly<Record<string, string>> = {};
  #headSent = false;
  #waiting: (() => void)[] = [];
  #paused = false;

  constructor(res: uws.HttpResponse, signal: AbortSignal, isHead: boolean) {
    this.#res = res;
    this.#signal = signal;
    this.#isHead = isHead;
    res.onWritable(() => {
      this.#resume();
      return true;
    });
    signal.addEventListener('abort', () => this.#resume(), { once: true });
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#status = status;
    this.#headers = headers;
  }

  write(text: string): boolean {
    if (this.#signal.aborted || this.#isHead || text === '') return true;
    this.#res.cork(() => {
      this.#sendHead();
      this.#paused = !this.#res.write(text);
    });
    return !this.#paused;
  }

  drained(): Promise<void> {
    if (!this.#paused) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(body: string | Uint8Array = ''): void {
    if (this.#signal.aborted) return;
    this.#res.cork(() => {
      this.#sendHead();
      if (this.#isHead) {
        this.#res.writeHeader('content-length', String(Buffer.byteLength(body)));
        this.#res.endWithoutBody();
      } else if (this.#status === 204) this.#res.endWithoutBody();
      else this.#res.end(body);
    });
  }

  #sendHead(): void {
    if (this.#headSent) return;
    this.#headSent = true;
    this.#res.writeStatus(`${this.#status} ${STATUS_CODES[this.#status] ?? 'Status'}`);
    for (const [name, value] of Object.entries(this.#headers)) this.#res.writeHeader(name, value);
  }

  #resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export const createUwsTransport = (listener: RequestListener): Transport => {
  const app = uws.App();
  let listenSocket: uws.us_listen_socket | undefined;
  app.any('/*', (res, req) => {
    const gone = new AbortController();
    res.onAborted(() => gone.abort(new EngineError('aborted', 'the client closed the connection')));
    const request = adaptRequest(res, req, gone.signal);
    listener(request, new UwsResponse(res, gone.signal, request.method === 'HEAD'));
  });
  const stopAccepting = (): void => {
    if (listenSocket !== undefined) uws.us_listen_socket_close(listenSocket);
    listenSocket = undefined;
  };
  return {
    name: 'uws',
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        const listen = app.listen.bind(app) as unknown as ListenExclusively;
        listen(host, port, EXCLUSIVE_PORT, (socket) => {
          if (socket === false) return reject(listenError(host, port, 'the address is in use or not ours'));
          listenSocket = socket;
          resolve(uws.us_socket_local_port(socket as unknown as uws.us_socket));
        });
      }),
    stopAccepting,
    close: () => {
      stopAccepting();
      app.close();
      return Promise.resolve();
    },
  };
};
