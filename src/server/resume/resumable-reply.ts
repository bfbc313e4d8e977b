/** A reply whose stream can be read on over another connection. */
import type { Usage } from '../../runtime/api.ts';
import { SSE_HEADERS } from '../dialects/sse.ts';
import type { ExchangeReply, FrameStream } from '../generate.ts';
import type { RequestHead } from '../http.ts';
import type { Reply } from '../reply.ts';
import type { ResumableStream } from './resumable-stream.ts';
import type { StreamStore } from './stream-store.ts';

/** `1` in a request asks for a stream that can be resumed. */
const RESUME_HEADER = 'x-firstlight-resume';
/** Names the stream, in the answer. */
export const STREAM_HEADER = 'x-firstlight-stream';

export const wantsResume = ({ headers }: Pick<RequestHead, 'headers'>): boolean => headers.get(RESUME_HEADER) === '1';

export class ResumableReply implements ExchangeReply {
  readonly #reply: Reply;
  readonly #store: StreamStore;
  readonly #owner: string;
  readonly #leaving = new AbortController();
  #stream: ResumableStream | undefined;

  constructor(reply: Reply, store: StreamStore, owner: string) {
    this.#reply = reply;
    this.#store = store;
    this.#owner = owner;
    const gone = (): void => {
      // From the first event on the stream decides when the work ends.
      if (this.#stream === undefined) this.#leaving.abort(reply.signal.reason);
    };
    if (reply.signal.aborted) gone();
    reply.signal.addEventListener('abort', gone, { once: true });
  }

  get requestId(): string {
    return this.#reply.requestId;
  }

  get arrivedMs(): number {
    return this.#reply.arrivedMs;
  }

  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  get hasBegun(): boolean {
    return this.#reply.hasBegun;
  }

  get usage(): Usage | undefined {
    return this.#reply.usage;
  }

  set usage(usage: Usage | undefined) {
    this.#reply.usage = usage;
  }

  addHeaders(headers: Readonly<Record<string, string>>): void {
    this.#reply.addHeaders(headers);
  }

  json(status: number, body: object): void {
    this.#reply.json(status, body);
  }

  frames(): FrameStream {
    const reply = this.#reply;
    const stream = this.#store.open(reply.requestId, this.#owner);
    this.#stream = stream;
    stream.signal.addEventListener('abort', () => this.#leaving.abort(stream.signal.reason), { once: true });
    void stream.read(reply.stream({ ...SSE_HEADERS, [STREAM_HEADER]: stream.id }), reply.signal, 0);
    return stream;
  }
}
