/** What a WebSocket route is: it takes sockets, and answers the requests that come over them. */
import type { EngineError } from '../../runtime/errors.ts';
import type { ExchangeContext } from '../exchange.ts';
import type { ExchangeReply } from '../generate.ts';
import type { RequestHead, Socket } from '../http.ts';

export interface SocketRoute {
  /** The path whose handshakes it answers; the same path answers POST. */
  readonly path: string;
  /**
   * The sub-protocol to agree on, undefined for none. Keys are not among those offered.
   * @throws EngineError invalid_request when the client offers some, and none that is spoken here
   */
  protocolOf(offered: readonly string[]): string | undefined;
  /** Sets the socket's `onMessage` before it returns. What it starts ends when the socket's signal aborts. */
  serve(socket: Socket, context: SocketContext): void;
}

/** What a route may use of the server, for one socket. */
export interface SocketContext {
  /** The handshake: its headers hold for every request on the socket. */
  readonly request: RequestHead;
  readonly exchanges: ExchangeContext;
  /**
   * Runs one request, which came as so many bytes: takes a place among those in flight, tells the reply how it went, and writes the log line. A
   * draining server refuses it, and closes the socket with 1001 once the last one has ended. Never rejects.
   */
  run(reply: SocketReply, numBytes: number, answer: () => Promise<void>): Promise<void>;
}

/** The answer to one request on a socket. */
export interface SocketReply extends ExchangeReply {
  /** Of the route, for the log and the metrics. */
  readonly route: string;
  /** As an HTTP answer would have had it; 0 until it is known. */
  readonly status: number;
  /** After an answer that did not throw. */
  done(): void;
  /** Instead of `done`. */
  fail(error: EngineError): void;
}
