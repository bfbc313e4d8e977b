/**
 * The transport contract: what the server needs of HTTP/1.1, and nothing else. Two adapters implement it,
 * `transports/uws.ts` and `transports/node-http.ts`; `test/server/transport.test.ts` holds both to these promises.
 */

/** One request whose head has been read. */
export interface HttpRequest {
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
  /**
   * The whole body as sent, still compressed if the client compressed it. Call at most once, and in the listener's own
   * turn: a transport drops what arrives while nobody listens.
   * @throws EngineError request_too_large beyond `maxBytes` (what follows is read and dropped, so the answer can
   * reach a client that is still sending); aborted when the client goes away first
   */
  body(maxBytes: number): Promise<Uint8Array>;
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

/** A listening socket and its connections. */
export interface Transport {
  readonly name: TransportName;
  /** Binds and resolves to the port, chosen by the system for 0. @throws EngineError config_invalid */
  listen(host: string, port: number): Promise<number>;
  /** Closes the listening socket. Open connections go on. */
  stopAccepting(): void;
  /** Cuts every connection; unfinished requests abort. */
  close(): Promise<void>;
}

export type TransportName = 'uws' | 'node-http';
