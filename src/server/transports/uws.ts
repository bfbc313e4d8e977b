/**
 * The transport over µWebSockets.js (Node 20 and 22), its only importer. Traps it hides: `res` must not be touched
 * after onAborted; memory passed to callbacks is neutered when they return; every write needs a cork; a false from
 * write means "accepted, now wait"; endWithoutBody(n) leaves the response pending; ports are shared unless exclusive.
 * µWebSockets itself cuts a client that neither reads nor writes for about 12 s, and one that pipelines a request
 * behind an unfinished one; a request whose first line comes in two pieces it answers with 505 (uWebSockets#1776).
 */

import * as uws from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { EngineError } from '../../runtime/errors.ts';
import { BodyCollector } from '../body.ts';
import type {
  HttpRequest,
  HttpResponse,
  RequestListener,
  Socket,
  Transport,
  UpgradeResponse,
  WebSocketOptions,
} from '../http.ts';
import { listenError } from './listen-error.ts';
import { isHandshake, type SocketWire, TransportSocket } from './socket.ts';

/** LIBUS_LISTEN_EXCLUSIVE_PORT: exists at run time, but not as a value in the package's types. */
const EXCLUSIVE_PORT = 1;

/** Only for what our own pings cannot see: sockets that are closing, whose peer reads nothing. */
const CLOSING_TIMEOUT_SECONDS = 60;

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
    body: (maxBytes, held) => {
      const collector = new BodyCollector({ headers, signal }, maxBytes, held);
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

class UwsUpgradeResponse extends UwsResponse implements UpgradeResponse {
  readonly #accept: (protocol: string) => Socket;

  constructor(res: uws.HttpResponse, signal: AbortSignal, accept: (protocol: string) => Socket) {
    super(res, signal, false);
    this.#accept = accept;
  }

  accept(protocol = ''): Socket {
    return this.#accept(protocol);
  }
}

/** µWebSockets copies its fields. */
interface UserData {
  readonly socket: TransportSocket;
}

/** Adds the routes of WebSockets. What is no handshake after all goes to `serve`. */
const takeWebSockets = (app: uws.TemplatedApp, options: WebSocketOptions, serve: Serve): void => {
  app.ws<UserData>('/*', {
    // µWebSockets cuts off what is larger, without a word: the margin lets us say 1009 to most.
    maxPayloadLength: 2 * options.maxMessageBytes,
    // 0: no limit, and nothing dropped. TransportSocket has the limit.
    maxBackpressure: 0,
    idleTimeout: CLOSING_TIMEOUT_SECONDS,
    sendPingsAutomatically: false,
    upgrade: (res, req, context) => {
      const gone = new AbortController();
      res.onAborted(() => gone.abort(new EngineError('aborted', 'the client closed the connection')));
      const request = adaptRequest(res, req, gone.signal);
      if (!isHandshake(request)) return serve(request, res);
      const key = request.headers.get('sec-websocket-key') ?? '';
      const accept = (protocol: string): Socket => {
        const socket = new TransportSocket(protocol, options);
        if (gone.signal.aborted) socket.gone();
        else res.cork(() => res.upgrade({ socket }, key, protocol, '', context));
        return socket;
      };
      options.listener(request, new UwsUpgradeResponse(res, gone.signal, accept));
    },
    open: (ws) => ws.getUserData().socket.opened(wireOf(ws)),
    message: (ws, message, isBinary) => {
      const bytes = Buffer.from(message);
      ws.getUserData().socket.received(isBinary ? new Uint8Array(bytes) : bytes.toString(), bytes.byteLength);
    },
    ping: (ws) => ws.getUserData().socket.heard(),
    pong: (ws) => ws.getUserData().socket.heard(),
    drain: (ws) => {
      const { socket } = ws.getUserData();
      // µWebSockets forgets to send the rest of what is sent from within this callback.
      setImmediate(() => {
        if (!socket.signal.aborted && ws.getBufferedAmount() === 0) socket.caughtUp();
      });
    },
    close: (ws) => ws.getUserData().socket.gone(),
  });
};

const wireOf = (ws: uws.WebSocket<UserData>): SocketWire => ({
  send: (message) => void ws.send(message, typeof message !== 'string'),
  isBehind: () => ws.getBufferedAmount() > 0,
  bufferedBytes: () => ws.getBufferedAmount(),
  ping: () => void ws.ping(),
  close: (code, reason) => ws.end(code, reason),
  cut: () => ws.close(),
});

type Serve = (request: HttpRequest, res: uws.HttpResponse) => void;

export const createUwsTransport = (listener: RequestListener, webSockets?: WebSocketOptions): Transport => {
  const app = uws.App();
  let listenSocket: uws.us_listen_socket | undefined;
  const serve: Serve = (request, res) =>
    listener(request, new UwsResponse(res, request.signal, request.method === 'HEAD'));
  if (webSockets !== undefined) takeWebSockets(app, webSockets, serve);
  app.any('/*', (res, req) => {
    const gone = new AbortController();
    res.onAborted(() => gone.abort(new EngineError('aborted', 'the client closed the connection')));
    serve(adaptRequest(res, req, gone.signal), res);
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
