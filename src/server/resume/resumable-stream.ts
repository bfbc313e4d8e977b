/** One stream that outlives its connection: its last events by number, and whoever reads it now. */
import { EngineError } from '../../runtime/errors.ts';
import type { Frame } from '../dialects/dialect.ts';
import { sseComment, sseText } from '../dialects/sse.ts';
import type { FrameStream } from '../generate.ts';
import type { HttpResponse } from '../http.ts';

export interface StreamLimits {
  /** How long a stream that nobody reads goes on, and how long one that has ended is kept. */
  readonly graceMs: number;
  /** Of one stream's events; the oldest go first. */
  readonly maxStreamBytes: number;
}

/** Where the streams' bytes are counted together. */
export interface ReplayRoom {
  /** Takes bytes, or gives them back when negative. True: others have no more to give, drop some. */
  take(numBytes: number): boolean;
  /** No reader will come back: the server drains. */
  readonly isStopping: boolean;
  /** The stream has ended long enough ago. */
  forget(stream: ResumableStream): void;
}

interface KeptEvent {
  readonly number: number;
  readonly text: string;
  readonly numBytes: number;
}

interface Reader {
  readonly response: HttpResponse;
  readonly leave: () => void;
  readonly left: Promise<void>;
}

export class ResumableStream implements FrameStream {
  readonly id: string;
  readonly owner: string;
  readonly #limits: StreamLimits;
  readonly #room: ReplayRoom;
  readonly #abandoned = new AbortController();
  readonly #events: KeptEvent[] = [];
  #numBytes = 0;
  #lastNumber = 0;
  #reader: Reader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(id: string, owner: string, limits: StreamLimits, room: ReplayRoom) {
    this.id = id;
    this.owner = owner;
    this.#limits = limits;
    this.#room = room;
  }

  /** Aborts when nobody has read for too long. */
  get signal(): AbortSignal {
    return this.#abandoned.signal;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The number of the last event so far; the first is 1. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  /** True while nobody reads: the events are kept for who comes back. */
  write(frames: readonly Frame[]): boolean {
    const text = frames.map((frame) => this.#numbered(frame)).join('');
    return this.#reader?.response.write(text) ?? true;
  }

  drained(): Promise<void> {
    const reader = this.#reader;
    return reader === undefined ? Promise.resolve() : Promise.race([reader.response.drained(), reader.left]);
  }

  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#room.forget(this), this.#limits.graceMs).unref();
    this.#dismiss();
  }

  /** Ends the work now if nobody reads. */
  abandonIfUnread(reason: string): void {
    if (this.#reader === undefined && !this.#hasEnded) this.#abandoned.abort(new EngineError('aborted', reason));
  }

  /**
   * Whether everything after event `number` is still here.
   * @throws EngineError invalid_request for an event that was never sent, not_found for one that is no longer kept
   */
  check(number: number): void {
    if (!Number.isSafeInteger(number) || number < 0 || number > this.#lastNumber) {
      throw new EngineError(
        'invalid_request',
        `Last-Event-ID must be 0 to ${this.#lastNumber}, the last event so far`,
        {
          param: 'last-event-id',
        },
      );
    }
    const firstNumber = this.#events[0]?.number ?? this.#lastNumber + 1;
    if (number + 1 >= firstNumber) return;
    throw new EngineError(
      'not_found',
      `the events after ${number} are no longer kept, the first one is ${firstNumber}: send the request again`,
    );
  }

  /**
   * Sends the events after `number`, then those that come. Whoever has read until now is ended. Resolves when the
   * reader has left, or has it all.
   */
  read(response: HttpResponse, signal: AbortSignal, number: number): Promise<void> {
    clearTimeout(this.#hasEnded ? undefined : this.#timer);
    const earlier = this.#reader;
    const missed = this.#events.filter((event) => event.number > number).map(({ text }) => text);
    // The head leaves with the first byte.
    response.write(sseComment('stream') + missed.join(''));
    let leave: () => void = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#reader = { response, leave, left };
    earlier?.response.end();
    earlier?.leave();
    signal.addEventListener('abort', () => this.#lose(response), { once: true });
    if (this.#hasEnded) this.#dismiss();
    else if (signal.aborted) this.#lose(response);
    return left;
  }

  /** Drops all that is kept. */
  close(): void {
    clearTimeout(this.#timer);
    this.#abandoned.abort(new EngineError('aborted', 'the server has ended the stream'));
    this.#room.take(-this.#numBytes);
    this.#numBytes = 0;
    this.#events.length = 0;
  }

  #dismiss(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.response.end();
    reader?.leave();
  }

  #lose(response: HttpResponse): void {
    if (this.#reader?.response !== response) return;
    this.#reader.leave();
    this.#reader = undefined;
    const { graceMs } = this.#limits;
    if (this.#room.isStopping) this.abandonIfUnread('the server is shutting down');
    this.#timer = setTimeout(() => this.abandonIfUnread(`nobody came back within ${graceMs} ms`), graceMs);
  }

  #numbered(frame: Frame): string {
    const plain = sseText([frame]);
    if (frame.kind === 'comment') return plain;
    this.#lastNumber++;
    const text = `id: ${this.#lastNumber}\n${plain}`;
    this.#keep({ number: this.#lastNumber, text, numBytes: Buffer.byteLength(text) });
    return text;
  }

  #keep(event: KeptEvent): void {
    this.#events.push(event);
    this.#numBytes += event.numBytes;
    let isFull = this.#room.take(event.numBytes);
    while (isFull || this.#numBytes > this.#limits.maxStreamBytes) {
      const oldest = this.#events.shift();
      if (oldest === undefined) return;
      this.#numBytes -= oldest.numBytes;
      isFull = this.#room.take(-oldest.numBytes);
    }
  }
}
