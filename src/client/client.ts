/** The client: streams answers over one WebSocket a dialect, or over HTTP where there is none. */
import { AsyncQueue } from './async-queue.ts';
import { backOff } from './backoff.ts';
import { ConnectionError } from './client-error.ts';
import { Connection, type WebSocketConstructor } from './connection.ts';
import { CHAT, type Endpoint, MESSAGES } from './endpoint.ts';
import type { ChatBody, ChatChunk, MessageEvent, MessagesBody } from './events.ts';
import { type FrameCodec, jsonCodec } from './frame-codec.ts';
import { accepted, request } from './http.ts';
import type { ModelEntry, ModelList } from './models.ts';
import { type SseOptions, sseEvents } from './sse-stream.ts';
import { unlessAborted } from './unless-aborted.ts';

export interface ClientOptions {
  /** `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** Absent: a WebSocket where there is one and the server takes it, else HTTP. */
  readonly transport?: 'websocket' | 'sse';
  /** Absent: the platform's own, which Node has from 22 on; `ws` has one for earlier versions. */
  readonly WebSocket?: WebSocketConstructor;
  /** Absent: JSON. */
  readonly codec?: () => FrameCodec;
  /** Absent: the platform's own. */
  readonly fetch?: typeof globalThis.fetch;
  /** Attempts in a row to take up a lost connection. Absent: 5. */
  readonly maxReconnects?: number;
  /**
   * While requests run over a WebSocket: after so long without a word the server is asked whether it is there, after as
   * long again it counts as lost. Absent: 15 s.
   */
  readonly pingIntervalMs?: number;
}

export interface RequestOptions {
  /** Aborting it cancels the request; the iteration throws its reason. */
  readonly signal?: AbortSignal;
}

const MAX_RECONNECTS = 5;
const PING_INTERVAL_MS = 15_000;

/**
 * Leaving an iteration early cancels its request. Over HTTP a lost connection is taken up where it broke. Over a
 * WebSocket a request is sent again if nothing of its answer had come; otherwise its iteration throws ConnectionError.
 * Iterations throw ApiError for what the server refuses. Events wait in memory for a slow consumer of a WebSocket.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #baseUrl: string;
  readonly #WebSocket: WebSocketConstructor | undefined;
  readonly #connections = new Map<string, Connection>();

  /** @throws TypeError when a WebSocket is asked for, and neither given nor there */
  constructor(options: ClientOptions) {
    this.#options = options;
    this.#baseUrl = options.baseUrl.replace(/\/+$/, '');
    const { transport } = options;
    const platform = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    this.#WebSocket = transport === 'sse' ? undefined : (options.WebSocket ?? platform);
    if (transport === 'websocket' && this.#WebSocket === undefined) {
      throw new TypeError(
        'this platform has no WebSocket: give the option WebSocket a constructor, such as that of ws',
      );
    }
  }

  /** OpenAI's Chat Completions. */
  chat(body: ChatBody, options: RequestOptions = {}): AsyncGenerator<ChatChunk> {
    return this.#events(CHAT, body, options) as AsyncGenerator<ChatChunk>;
  }

  /** Anthropic's Messages. */
  messages(body: MessagesBody, options: RequestOptions = {}): AsyncGenerator<MessageEvent> {
    return this.#events(MESSAGES, body, options) as AsyncGenerator<MessageEvent>;
  }

  /** The served model, then those that are installed. @throws ApiError, ConnectionError, the signal's reason */
  async models({ signal }: RequestOptions = {}): Promise<readonly ModelEntry[]> {
    const init = signal === undefined ? {} : { signal };
    const answer = await accepted(await request(this.#httpOptions(), '/v1/models', init));
    return ((await answer.json()) as ModelList).data;
  }

  /** Closes the WebSockets; requests that run on them fail. */
  close(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async *#events(endpoint: Endpoint, body: object, { signal: outer }: RequestOptions): AsyncGenerator<object> {
    outer?.throwIfAborted();
    const leaving = new AbortController();
    const leave = (): void => leaving.abort(outer?.reason);
    outer?.addEventListener('abort', leave, { once: true });
    try {
      const connection = await unlessAborted(this.#connectionTo(endpoint), leaving.signal);
      if (connection !== undefined) yield* this.#overSocket(connection, body, leaving.signal);
      else yield* this.#overHttp(endpoint, body, leaving.signal);
    } finally {
      outer?.removeEventListener('abort', leave);
      leaving.abort();
    }
  }

  /** Undefined: over HTTP. */
  async #connectionTo({ path }: Endpoint): Promise<Connection | undefined> {
    const { apiKey, codec = jsonCodec, transport, pingIntervalMs = PING_INTERVAL_MS } = this.#options;
    if (this.#WebSocket === undefined) return undefined;
    const url = this.#baseUrl.replace(/^http/, 'ws') + path;
    const connection =
      this.#connections.get(path) ?? new Connection({ url, apiKey, WebSocket: this.#WebSocket, codec, pingIntervalMs });
    this.#connections.set(path, connection);
    try {
      await connection.open();
      return connection;
    } catch (error) {
      // A WebSocket does not tell why it was refused; the same request over HTTP will, or it works.
      if (transport === undefined) return undefined;
      throw error;
    }
  }

  #overHttp(endpoint: Endpoint, body: object, signal: AbortSignal): AsyncGenerator<object> {
    return sseEvents(this.#httpOptions(), endpoint, body, signal);
  }

  #httpOptions(): SseOptions {
    const { apiKey, fetch = globalThis.fetch, maxReconnects = MAX_RECONNECTS } = this.#options;
    return { baseUrl: this.#baseUrl, apiKey, fetch, maxReconnects };
  }

  async *#overSocket(connection: Connection, body: object, signal: AbortSignal): AsyncGenerator<object> {
    const { maxReconnects = MAX_RECONNECTS } = this.#options;
    for (let attempt = 0; ; attempt++) {
      let hasBegun = false;
      try {
        await unlessAborted(connection.open(), signal);
        for await (const event of requestEvents(connection, body, signal)) {
          hasBegun = true;
          yield event;
        }
        return;
      } catch (error) {
        if (hasBegun || !(error instanceof ConnectionError) || attempt >= maxReconnects) throw error;
        await backOff(attempt, signal);
      }
    }
  }
}

async function* requestEvents(connection: Connection, body: object, signal: AbortSignal): AsyncGenerator<object> {
  const events = new AsyncQueue<object>();
  const leave = (): void => events.fail(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  const cancel = connection.begin(body, events);
  try {
    for (let event = await events.next(); event !== undefined; event = await events.next()) yield event;
  } finally {
    signal.removeEventListener('abort', leave);
    cancel();
  }
}
