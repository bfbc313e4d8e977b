/**
 * Our own protocol for the routes that stream: many requests on one socket, interleaved, cancelled one by one. Client
 * frames: `request` (id, body), `cancel` (id), `ping`. Server frames: `event` (id, event), then `done` (id) or `error`
 * (id, status, error); `pong`. The README describes it.
 */
import { EngineError } from '../../runtime/errors.ts';
import type { Dialect, DialectRoute } from '../dialects/dialect.ts';
import { answerExchange } from '../exchange.ts';
import type { Socket } from '../http.ts';
import { newRequestId } from '../reply.ts';
import { EventReply } from './event-reply.ts';
import { FRAME_CODECS, type FrameCodec, JSON_PROTOCOL } from './frame-codec.ts';
import { FrameWriter } from './frame-writer.ts';
import type { SocketContext, SocketRoute } from './route.ts';

const MAX_ID_LENGTH = 256;

/** @throws EngineError internal when the dialect has no such path */
export const requestRoute = (
  dialect: Dialect,
  { path, ...operation }: Pick<SocketRoute, 'id' | 'path' | 'serverFrame'>,
): SocketRoute => {
  const route = dialect.routes.find((each) => each.path === path);
  if (route === undefined) throw new EngineError('internal', `${dialect.name} has no route ${path}`);
  return {
    ...operation,
    path,
    summary: 'A WebSocket for many streamed answers (our own frames)',
    protocols: [...FRAME_CODECS.keys()],
    clientFrame: 'ClientFrame',
    dialect: dialect.vendor,
    serve: (socket, context) => void new RequestSocket(dialect, route, socket, context),
  };
};

class RequestSocket {
  readonly #dialect: Dialect;
  readonly #route: DialectRoute;
  readonly #context: SocketContext;
  readonly #codec: FrameCodec;
  readonly #writer: FrameWriter;
  readonly #running = new Map<string, AbortController>();

  constructor(dialect: Dialect, route: DialectRoute, socket: Socket, context: SocketContext) {
    this.#dialect = dialect;
    this.#route = route;
    this.#context = context;
    const codec = FRAME_CODECS.get(socket.protocol || JSON_PROTOCOL);
    if (codec === undefined) throw new EngineError('internal', `no frames are known for '${socket.protocol}'`);
    this.#codec = codec();
    this.#writer = new FrameWriter(socket, this.#codec);
    socket.onMessage = (message) => this.#receive(message);
    socket.signal.addEventListener('abort', () => {
      for (const running of this.#running.values()) running.abort(socket.signal.reason);
    });
  }

  #receive(message: string | Uint8Array): void {
    let id: string | undefined;
    try {
      const frame = fieldsOf(this.#codec.decode(message), 'a frame');
      if (isId(frame.id)) id = frame.id;
      this.#obey(frame, id, message.length);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#sendError(id, newRequestId(), error);
    }
  }

  #obey(frame: Fields, id: string | undefined, numBytes: number): void {
    switch (frame.type) {
      case 'request':
        this.#begin(requiredId(id), fieldsOf(frame.body, 'body'), numBytes);
        return;
      case 'cancel':
        // One that has just ended is no mistake: the two frames met on the way.
        this.#running.get(requiredId(id))?.abort(new EngineError('aborted', 'the client cancelled the request'));
        return;
      case 'ping':
        this.#writer.send({ type: 'pong' });
        return;
      default:
        throw invalid("type: must be 'request', 'cancel' or 'ping'", 'type');
    }
  }

  #begin(id: string, body: Fields, numBytes: number): void {
    if (this.#running.has(id))
      throw invalid('id: a request with this id is still running: choose another', 'id', 'duplicate_id');
    const cancelling = new AbortController();
    this.#running.set(id, cancelling);
    // An error has a frame of its own, also within an answer.
    const options = { route: this.#route.path, signal: cancelling.signal, failsInside: false };
    const reply = new EventReply(options, {
      event: (event) => this.#writer.send({ type: 'event', id, event }),
      drained: () => this.#writer.drained(),
      done: () => {
        this.#running.delete(id);
        this.#writer.send({ type: 'done', id });
      },
      fail: (error, requestId) => {
        this.#running.delete(id);
        return this.#sendError(id, requestId, error);
      },
    });
    const { exchanges, request } = this.#context;
    const answer = () => answerExchange(exchanges, this.#route, { ...body, stream: true }, request, reply);
    void this.#context.run(reply, numBytes, answer);
  }

  /** The status that HTTP would have answered with. */
  #sendError(id: string | undefined, requestId: string, error: EngineError): number {
    const { status, body } = this.#dialect.error(error, requestId);
    this.#writer.send({ type: 'error', ...(id === undefined ? {} : { id }), status, error: body });
    return status;
  }
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown, what: string): Fields => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid(`${what} must be an object`, what === 'body' ? 'body' : undefined);
};

const isId = (id: unknown): id is string => typeof id === 'string' && id !== '' && id.length <= MAX_ID_LENGTH;

const requiredId = (id: string | undefined): string => {
  if (id !== undefined) return id;
  throw invalid(`id: must be a text of 1 to ${MAX_ID_LENGTH} characters`, 'id');
};

const invalid = (message: string, param?: string, reason = 'invalid_frame'): EngineError =>
  new EngineError('invalid_request', message, { reason, ...(param === undefined ? {} : { param }) });
