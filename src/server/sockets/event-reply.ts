/** The answer to one request among those of a socket, as events that its route puts into frames. */
import type { Usage } from '../../runtime/api.ts';
import type { EngineError } from '../../runtime/errors.ts';
import type { Frame } from '../dialects/dialect.ts';
import type { FrameStream } from '../generate.ts';
import { newRequestId } from '../reply.ts';
import type { SocketReply } from './route.ts';

/** How an answer leaves. */
export interface Outlet {
  /** The dialect's own event object. False: the next one should wait for `drained`. */
  event(event: object): boolean;
  drained(): Promise<void>;
  done(): void;
  /** Returns the status that HTTP would have had. */
  fail(error: EngineError, requestId: string): number;
}

export interface EventReplyOptions {
  readonly route: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Where a failure within the answer is told: by an event of the dialect's, or by `Outlet.fail` as any other. */
  readonly failsInside: boolean;
}

export class EventReply implements SocketReply {
  readonly requestId = newRequestId();
  readonly arrivedMs = performance.now();
  readonly route: string;
  readonly signal: AbortSignal;
  usage: Usage | undefined;
  status = 0;
  readonly #failsInside: boolean;
  readonly #outlet: Outlet;
  #hasFrames = false;

  constructor({ route, signal, failsInside }: EventReplyOptions, outlet: Outlet) {
    this.route = route;
    this.signal = signal;
    this.#failsInside = failsInside;
    this.#outlet = outlet;
  }

  get hasBegun(): boolean {
    return this.#failsInside && this.#hasFrames;
  }

  addHeaders(): void {}

  json(status: number, body: object): void {
    this.status = status;
    this.#outlet.event(body);
  }

  frames(): FrameStream {
    this.#hasFrames = true;
    return {
      write: (frames) => this.#write(frames),
      drained: () => this.#outlet.drained(),
      end: () => {},
    };
  }

  done(): void {
    this.status = 200;
    this.#outlet.done();
  }

  fail(error: EngineError): void {
    this.status = this.#outlet.fail(error, this.requestId);
  }

  /** Comments and `[DONE]` belong to server-sent events alone. */
  #write(frames: readonly Frame[]): boolean {
    let isReading = true;
    for (const frame of frames) {
      if (frame.kind === 'data' || frame.kind === 'event') isReading = this.#outlet.event(frame.payload);
    }
    return isReading;
  }
}
