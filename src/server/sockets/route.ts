/** What a WebSocket route is: it takes sockets, and answers the requests that come over them. */
import type { EngineError } from '../../runtime/errors.ts';
import type { ExchangeContext } from '../exchange.ts';
import type { ExchangeReply } from '../generate.ts';
import type { RequestHead, Socket } from '../http.ts';
import type { SocketOperation } from '../operation.ts';

export interface SocketRoute extends SocketOperation {
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
