/** One WebSocket to one route, opened when it is first needed, and again after it was lost. */
import type { AsyncQueue } from './async-queue.ts';
import { ApiError, ConnectionError } from './client-error.ts';
import type { FrameCodec } from './frame-codec.ts';

/** What is used of a WebSocket: the browser's, Node's (22 and later), or that of the package ws. */
export interface WebSocketLike {
  binaryType: string;
  send(message: string | Uint8Array): void;
  close(code?: number): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface ConnectionOptions {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly WebSocket: WebSocketConstructor;
  readonly codec: () => FrameCodec;
  readonly pingIntervalMs: number;
}

/** Intervals without a word from the server: after the first it is asked, after the second it is gone. */
const MAX_SILENT_INTERVALS = 2;

interface OpenSocket {
  readonly ws: WebSocketLike;
  readonly codec: FrameCodec;
}

interface ServerFrame {
  readonly type: string;
  readonly id?: string;
  readonly event?: object;
  readonly status?: number;
  readonly error?: unknown;
}

export class Connection {
  readonly #options: ConnectionOptions;
  #opening: Promise<OpenSocket> | undefined;
  /** The one that opens or is open. */
  #latest: WebSocketLike | undefined;
  #socket: OpenSocket | undefined;
  #numRequests = 0;
  #numSilentIntervals = 0;
  #watch: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;
  readonly #running = new Map<string, AsyncQueue<object>>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Resolves once the socket is open. @throws ConnectionError when it cannot be opened */
  async open(): Promise<void> {
    this.#opening ??= this.#open();
    await this.#opening;
  }

  /** Sends a request on an open socket; its events come through the queue. Returns what ends it early. */
  begin(body: object, events: AsyncQueue<object>): () => void {
    const id = `r${++this.#numRequests}`;
    if (this.#socket === undefined) events.fail(lost());
    else {
      this.#running.set(id, events);
      this.#numSilentIntervals = 0;
      this.#watch ??= setInterval(() => this.#lookForLife(), this.#options.pingIntervalMs);
      this.#send({ type: 'request', id, body });
    }
    return () => {
      if (this.#ended(id)) this.#send({ type: 'cancel', id });
    };
  }

  close(): void {
    this.#isClosed = true;
    const socket = this.#socket;
    this.#lose();
    socket?.ws.close(1000);
  }

  #open(): Promise<OpenSocket> {
    const { url, apiKey, WebSocket, codec: makeCodec } = this.#options;
    const codec = makeCodec();
    const key = apiKey === undefined ? [] : [`firstlight.key.${base64url(apiKey)}`];
    return new Promise((resolve, reject) => {
      const ws = new WebSocket(url, [codec.protocol, ...key]);
      this.#latest = ws;
      ws.binaryType = 'arraybuffer';
      const socket = { ws, codec };
      ws.addEventListener('open', () => {
        if (this.#isClosed) return ws.close(1000);
        this.#socket = socket;
        resolve(socket);
      });
      ws.addEventListener('message', ({ data }) => this.#receive(codec, data));
      // Also of one whose loss is known, and which has a successor by now.
      const gone = (): void => {
        if (this.#latest === ws) this.#lose();
        reject(new ConnectionError(`no WebSocket could be opened to ${url}`));
      };
      ws.addEventListener('close', gone);
      ws.addEventListener('error', gone);
    });
  }

  #send(frame: object): void {
    const socket = this.#socket;
    socket?.ws.send(socket.codec.encode(frame));
  }

  #receive(codec: FrameCodec, data: unknown): void {
    const message = data instanceof ArrayBuffer ? new Uint8Array(data) : (data as string);
    this.#numSilentIntervals = 0;
    const { type, id = '', event, status, error } = codec.decode(message) as ServerFrame;
    const events = this.#running.get(id);
    if (type === 'event' && event !== undefined) events?.push(event);
    if (type !== 'done' && type !== 'error') return;
    this.#ended(id);
    if (type === 'done') events?.end();
    else events?.fail(new ApiError(status, error));
  }

  /** A server that vanishes (a laptop asleep, a cable pulled) says no goodbye. */
  #lookForLife(): void {
    this.#numSilentIntervals++;
    if (this.#numSilentIntervals < MAX_SILENT_INTERVALS) {
      this.#send({ type: 'ping' });
      return;
    }
    const socket = this.#socket;
    this.#lose();
    socket?.ws.close();
  }

  /** False for a request that had ended before. */
  #ended(id: string): boolean {
    const wasRunning = this.#running.delete(id);
    if (this.#running.size === 0) this.#rest();
    return wasRunning;
  }

  #rest(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #lose(): void {
    this.#rest();
    this.#socket = undefined;
    this.#opening = undefined;
    for (const events of this.#running.values()) events.fail(lost());
    this.#running.clear();
  }
}

const lost = (): ConnectionError => new ConnectionError('the WebSocket was lost within the answer');

const base64url = (text: string): string =>
  btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
