/**
 * The transport contract: what the server needs of HTTP/1.1 and of WebSocket, and nothing else. Two adapters implement
 * it, `transports/uws.ts` and `transports/node-http.ts`; `test/server/transport.test.ts` and `test/server/socket.test.ts`
 * hold both to these promises.
 */

import type { HeldBody } from './body-budget.ts';

/** What a request says before its body. */
export interface RequestHead {
  /** Upper case. */
  readonly method: string;
  /** Without the query; not decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case; values of repeated headers joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** The peer's address as text, IPv4 or IPv6. */
  readonly remoteAddress: string;
  /** Aborts when the client goes away before the response has ended. */
  readonly signal: AbortSignal;
}

/** One request whose head has been read. */
export interface HttpRequest extends RequestHead {
  /**
   * The whole body as sent, still compressed if the client compressed it. Call at most once, and in the listener's own
   * turn: a transport drops what arrives while nobody listens.
   * @param held counts what has come
   * @throws EngineError request_too_large beyond `maxBytes`, overloaded when `held` refuses (what follows is read and
   * dropped, so the answer can reach a client that is still sending); aborted when the client goes away first
   */
  body(maxBytes: number, held?: HeldBody): Promise<Uint8Array>;
}

/** The answer to one request: `head` once, then any number of `write`s, then `end` once. Never throws after a disconnect. */
export interface HttpResponse {
  /** Sets status and headers. They leave with the first `write` or `end` at the latest. */
  head(status: number, headers: Readonly<Record<string, string>>): void;
  /**
   * Sends one piece of a body of unknown length. The piece is always taken; false says that the client reads slower
   * than we write, and that the next `write` should wait for `drained`.
   */
  write(text: string): boolean;
  /** Resolves when the client has caught up, or has gone. */
  drained(): Promise<void>;
  /** Ends the answer. Without an earlier `write` the body has a Content-Length; HEAD answers send the length alone. */
  end(body?: string | Uint8Array): void;
}

export type RequestListener = (request: HttpRequest, response: HttpResponse) => void;

/** The answer to a WebSocket handshake: one `accept`, or an ordinary answer (`head`, `end`), which refuses it. */
export interface UpgradeResponse extends HttpResponse {
  /**
   * Makes the connection a WebSocket; the client may have gone, then its signal has aborted. Compression is never agreed
   * on.
   * @param protocol one of those that the client offered, or none
   */
  accept(protocol?: string): Socket;
}

/** `GET` with a valid RFC 6455 handshake; anything else, other upgrades included, is an ordinary request. */
export type UpgradeListener = (request: RequestHead, response: UpgradeResponse) => void;

/** An open WebSocket. Nothing here throws after the peer has gone. */
export interface Socket {
  /** The sub-protocol agreed on; empty for none. */
  readonly protocol: string;
  /** Aborts once the socket is closing or gone, whoever began it. */
  readonly signal: AbortSignal;
  /**
   * Called with every message in order: a string for text, bytes of its own for binary. Set it in the turn of `accept`;
   * it must not throw. A message beyond the limit closes the socket with 1009 instead.
   */
  onMessage: (message: string | Uint8Array) => void;
  /**
   * Sends one message, text for a string. It is always taken; false says that the peer reads slower than we write, and
   * that the next `send` should wait for `drained`. Whoever goes on is closed with 1008 beyond `maxBufferedBytes`.
   */
  send(message: string | Uint8Array): boolean;
  /** Resolves when the peer has caught up, or has gone. Look at what the next `send` says: others may have woken, too. */
  drained(): Promise<void>;
  /** Says goodbye after what was sent. `reason` is cut to the 123 bytes that a close frame holds. */
  close(code: number, reason: string): void;
}

/** What a transport needs to take WebSockets; without it a handshake is an ordinary request. */
export interface WebSocketOptions {
  readonly listener: UpgradeListener;
  /** Of one message. Beyond twice this µWebSockets cuts the connection without a close frame (1006). */
  readonly maxMessageBytes: number;
  /** Of one socket, waiting for a slow peer when the next message is sent. */
  readonly maxBufferedBytes?: number;
  /** A peer from which nothing came between two pings, and which reads nothing either, is cut. */
  readonly pingIntervalMs?: number;
}

/** A listening port and its connections. */
export interface Transport {
  readonly name: TransportName;
  /** Binds and resolves to the port, chosen by the system for 0. @throws EngineError config_invalid */
  listen(host: string, port: number): Promise<number>;
  /** Closes the listening socket. Open connections go on. */
  stopAccepting(): void;
  /** Cuts every connection; unfinished requests and open WebSockets abort. */
  close(): Promise<void>;
}

export type TransportName = 'uws' | 'node-http';
