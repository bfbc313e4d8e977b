/** A bare TCP client, for what HTTP clients hide: pipelining, pausing, half-sent requests. */
import { connect, type Socket } from 'node:net';

const TAIL_LENGTH = 64;

export class RawClient {
  readonly socket: Socket;
  #chunks: string[] = [];
  #tail = '';
  #closed = false;
  #changed: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#chunks.push(text);
      this.#tail = (this.#tail + text).slice(-TAIL_LENGTH);
      this.#wake();
    });
    // A reset is one of the ways a server may close; tests ask `closed`.
    socket.on('error', () => this.#wake());
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  static open(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new RawClient(socket)));
      socket.once('error', reject);
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  get received(): string {
    this.#chunks = [this.#chunks.join('')];
    return this.#chunks[0] ?? '';
  }

  /** Resolves once `pattern` matches what was received; fails when the connection closes first. */
  async until(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.received.match(pattern);
      if (match !== null) return match;
      if (this.#closed) throw new Error(`closed before ${pattern}: ${this.received.slice(-500)}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** `until` for long answers: looks at the end only. */
  async untilEnd(end: string): Promise<void> {
    while (!this.#tail.endsWith(end)) {
      if (this.#closed) throw new Error(`closed before the end: ${this.#tail}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  async closed(): Promise<void> {
    while (!this.#closed) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }
}
