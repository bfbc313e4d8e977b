/** A client of our own socket protocol that only sends and collects frames. */
import { Packr, Unpackr } from 'msgpackr';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { until } from './until.ts';

export interface ServerFrame {
  readonly type: 'event' | 'done' | 'error' | 'pong';
  readonly id?: string;
  readonly event?: Readonly<Record<string, unknown>>;
  readonly status?: number;
  readonly error?: Readonly<Record<string, unknown>>;
}

export interface SocketClientOptions {
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export class SocketClient {
  readonly ws: WebSocket;
  readonly frames: ServerFrame[] = [];
  readonly isBinary: boolean[] = [];
  closeCode: number | undefined;
  readonly #packr = new Packr({ sequential: true });
  readonly #unpackr = new Unpackr({ sequential: true });

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (bytes: Buffer, isBinary: boolean) => {
      this.isBinary.push(isBinary);
      const frame: unknown = isBinary ? this.#unpackr.unpack(bytes) : JSON.parse(bytes.toString());
      this.frames.push(frame as ServerFrame);
    });
    ws.on('close', (code) => {
      this.closeCode = code;
    });
    ws.on('error', () => ws.terminate());
  }

  /** Rejects with the server's answer when the handshake is refused. */
  static open(url: string, path: string, { protocols = [], headers = {} }: SocketClientOptions = {}) {
    const ws = new WebSocket(url.replace('http:', 'ws:') + path, [...protocols], { headers });
    onTestFinished(() => ws.terminate());
    const client = new SocketClient(ws);
    return new Promise<SocketClient>((resolve, reject) => {
      ws.once('open', () => resolve(client));
      ws.once('unexpected-response', (_request, response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => reject(new RefusedHandshake(response.statusCode ?? 0, body)));
      });
    });
  }

  send(frame: object): void {
    this.ws.send(this.ws.protocol === 'firstlight.msgpack' ? this.#packr.pack(frame) : JSON.stringify(frame));
  }

  framesOf(id: string): readonly ServerFrame[] {
    return this.frames.filter((frame) => frame.id === id);
  }

  /** Resolves once the request has ended, and returns all that was said of it. */
  async ended(id: string): Promise<readonly ServerFrame[]> {
    await until(() => ['done', 'error'].includes(this.framesOf(id).at(-1)?.type ?? ''));
    return this.framesOf(id);
  }
}

export class RefusedHandshake extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: string) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.body = JSON.parse(body) as unknown;
  }
}
