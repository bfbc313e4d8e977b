/** What a WebSocket promises, over whichever library carries it: bounds, waiting for slow readers, keepalive, farewell. */
import { setMaxListeners } from 'node:events';
import { EngineError } from '../../runtime/errors.ts';
import type { RequestHead, Socket, WebSocketOptions } from '../http.ts';

const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
const PING_INTERVAL_MS = 30_000;
/** A control frame holds 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123;

const POLICY_VIOLATION = 1008;
const MESSAGE_TOO_BIG = 1009;

const HANDSHAKE_KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Requests to become something else than a WebSocket may be ignored (RFC 9110 §7.8), and are. */
export const isHandshake = ({ method, headers }: Pick<RequestHead, 'method' | 'headers'>): boolean =>
  method === 'GET' &&
  headers.get('upgrade')?.toLowerCase() === 'websocket' &&
  headers.get('sec-websocket-version') === '13' &&
  HANDSHAKE_KEY.test(headers.get('sec-websocket-key') ?? '');

/** A library's connection. No call of ours comes after `TransportSocket.gone`. */
export interface SocketWire {
  send(message: string | Uint8Array): void;
  /** True: wait for `TransportSocket.caughtUp` before the next message. */
  isBehind(): boolean;
  /** Bytes that the kernel has not taken yet. */
  bufferedBytes(): number;
  ping(): void;
  close(code: number, reason: string): void;
  /** Without a close frame. */
  cut(): void;
}

export class TransportSocket implements Socket {
  readonly protocol: string;
  onMessage: (message: string | Uint8Array) => void = () => {};
  readonly #gone = new AbortController();
  readonly #maxMessageBytes: number;
  readonly #maxBufferedBytes: number;
  readonly #pingIntervalMs: number;
  #wire: SocketWire | undefined;
  #pings: NodeJS.Timeout | undefined;
  #hasHeard = true;
  #lastBufferedBytes = 0;
  #isBehind = false;
  #waiting: (() => void)[] = [];

  constructor(protocol: string, options: WebSocketOptions) {
    this.protocol = protocol;
    // As many listen as there are requests on it.
    setMaxListeners(0, this.#gone.signal);
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? MAX_BUFFERED_BYTES;
    this.#pingIntervalMs = options.pingIntervalMs ?? PING_INTERVAL_MS;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  send(message: string | Uint8Array): boolean {
    const wire = this.#wire;
    if (wire === undefined) return true;
    if (wire.bufferedBytes() > this.#maxBufferedBytes) {
      this.close(POLICY_VIOLATION, `more than ${this.#maxBufferedBytes} bytes wait to be read: read faster`);
      return true;
    }
    wire.send(message);
    this.#isBehind = wire.isBehind();
    return !this.#isBehind;
  }

  drained(): Promise<void> {
    if (!this.#isBehind) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(code: number, reason: string): void {
    const wire = this.#wire;
    // First: some libraries report the end from within `close`.
    this.gone();
    const bytes = Buffer.from(reason).subarray(0, MAX_REASON_BYTES);
    // A character cut in half is left out.
    wire?.close(code, new TextDecoder('utf-8').decode(bytes, { stream: true }));
  }

  /** For the adapter: the handshake is done. */
  opened(wire: SocketWire): void {
    this.#wire = wire;
    this.#pings = setInterval(() => this.#ping(wire), this.#pingIntervalMs);
  }

  /** For the adapter: a whole message, whose memory is ours to keep. `numBytes`: as it was on the wire. */
  received(message: string | Uint8Array, numBytes: number): void {
    this.heard();
    if (this.#wire === undefined) return;
    if (numBytes <= this.#maxMessageBytes) this.onMessage(message);
    else this.close(MESSAGE_TOO_BIG, `a message of ${numBytes} bytes is over the limit of ${this.#maxMessageBytes}`);
  }

  /** For the adapter: the peer lives. */
  heard(): void {
    this.#hasHeard = true;
  }

  /** For the adapter: the kernel has taken all that was sent. */
  caughtUp(): void {
    this.#isBehind = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** For the adapter: the connection has ended. */
  gone(): void {
    clearInterval(this.#pings);
    this.#wire = undefined;
    this.#gone.abort(new EngineError('aborted', 'the client closed the connection'));
    this.caughtUp();
  }

  #ping(wire: SocketWire): void {
    const bufferedBytes = wire.bufferedBytes();
    const isReading = bufferedBytes < this.#lastBufferedBytes;
    this.#lastBufferedBytes = bufferedBytes;
    if (this.#hasHeard || isReading) {
      this.#hasHeard = false;
      wire.ping();
    } else {
      this.gone();
      wire.cut();
    }
  }
}
