/** An answer of server-sent events: the head leaves with the first, and a client that is behind gets joined text. */
import { SSE_HEADERS, sseComment, sseEvent } from '../dialects/sse.ts';
import type { HttpResponse } from '../http.ts';
import type { Reply } from '../reply.ts';

export interface StreamEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A piece of an agent's text. */
interface TokenEvent extends StreamEvent {
  readonly type: 'token';
  readonly agent_id: string;
  readonly text: string;
}

const isToken = (event: StreamEvent | undefined): event is TokenEvent => event?.type === 'token';

export class AnswerStream {
  readonly #reply: Reply;
  readonly #pings: NodeJS.Timeout;
  #response: HttpResponse | undefined;
  #isBehind = false;
  #waiting: StreamEvent[] = [];

  constructor(reply: Reply, pingIntervalMs: number) {
    this.#reply = reply;
    this.#pings = setInterval(() => {
      if (!this.#isBehind && this.#response !== undefined) this.#write(sseComment('ping'));
    }, pingIntervalMs);
  }

  /** Sends the head now, when the first event may be long in coming. */
  begin(): void {
    this.#write(sseComment('begin'));
  }

  send(event: StreamEvent): void {
    if (!this.#isBehind) {
      this.#write(sseEvent(event));
      return;
    }
    const last = this.#waiting.at(-1);
    if (isToken(event) && isToken(last) && last.agent_id === event.agent_id) {
      this.#waiting[this.#waiting.length - 1] = { ...event, text: last.text + event.text };
    } else this.#waiting.push(event);
  }

  /** Sends what waits, and ends the answer. */
  end(): void {
    clearInterval(this.#pings);
    if (this.#waiting.length > 0) this.#response?.write(this.#takeWaiting());
    this.#response?.end();
    this.#response = undefined;
  }

  #write(frames: string): void {
    this.#response ??= this.#reply.stream(SSE_HEADERS);
    if (this.#response.write(frames)) return;
    this.#isBehind = true;
    void this.#response.drained().then(() => {
      this.#isBehind = false;
      if (this.#waiting.length > 0 && this.#response !== undefined) this.#write(this.#takeWaiting());
    });
  }

  #takeWaiting(): string {
    return this.#waiting.splice(0).map(sseEvent).join('');
  }
}
