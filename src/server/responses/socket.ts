/**
 * OpenAI's WebSocket mode of `/v1/responses`: `response.create` frames, answered with the events of the stream, one JSON
 * text each and no `[DONE]`. One response at a time, later ones wait; a `stream_id` opens a lane with an order of its own.
 * Source: OpenAI's guide to the WebSocket mode, and the Open Responses specification.
 */
import { EngineError } from '../../runtime/errors.ts';
import type { DialectRoute } from '../dialects/dialect.ts';
import { openaiResponses } from '../dialects/openai-responses.ts';
import { answerExchange } from '../exchange.ts';
import type { Socket } from '../http.ts';
import { parseJson } from '../json-body.ts';
import { newRequestId } from '../reply.ts';
import { EventReply } from '../sockets/event-reply.ts';
import { FrameWriter } from '../sockets/frame-writer.ts';
import type { SocketContext, SocketRoute } from '../sockets/route.ts';
import { ConnectionResponses } from './connection-responses.ts';

const PATH = '/v1/responses';
const MAX_AGE_MS = 60 * 60 * 1000;
const MAX_LANES = 32;
const MAX_RUNNING = 16;
/** Of all lanes together, beside those that run. */
const MAX_WAITING = 64;
const MAX_WAITING_CHARACTERS = 64 * 1024 * 1024;
const LANE = /^[A-Za-z0-9_.-]{1,256}$/;
/** The lane of frames without a `stream_id`. */
const UNNAMED = '';
const NORMAL_CLOSURE = 1000;

type Body = Readonly<Record<string, unknown>>;

/** @param maxAgeMs after which a connection takes no more requests, as at OpenAI */
export const responsesSocket = (maxAgeMs = MAX_AGE_MS): SocketRoute => ({
  id: 'openResponseSocket',
  path: PATH,
  summary: 'A WebSocket for responses, one after another (OpenAI)',
  // Browsers offer something beside their key, and give up unless it is agreed on.
  protocols: ['firstlight.json', 'realtime'],
  clientFrame: 'ResponseCreateFrame',
  serverFrame: 'ResponseServerFrame',
  dialect: openaiResponses.vendor,
  serve: (socket, context) => void new ResponsesSocket(socket, context, maxAgeMs),
});

const routeOf = (): DialectRoute => {
  const route = openaiResponses.routes.find(({ path }) => path === PATH);
  if (route === undefined) throw new EngineError('internal', `there is no route ${PATH}`);
  return route;
};

interface Waiting {
  readonly body: Body;
  readonly numCharacters: number;
}

interface Lane {
  isRunning: boolean;
  readonly waiting: Waiting[];
}

class ResponsesSocket {
  readonly #socket: Socket;
  readonly #context: SocketContext;
  readonly #route = routeOf();
  readonly #writer: FrameWriter;
  readonly #responses = new ConnectionResponses();
  readonly #lanes = new Map<string, Lane>();
  #numRunning = 0;
  #isExpired = false;

  constructor(socket: Socket, context: SocketContext, maxAgeMs: number) {
    this.#socket = socket;
    this.#context = context;
    this.#writer = new FrameWriter(socket, { encode: (frame) => JSON.stringify(frame), decode: decodeText });
    socket.onMessage = (message) => this.#receive(message);
    const expiry = setTimeout(() => this.#expire(), maxAgeMs);
    socket.signal.addEventListener('abort', () => {
      clearTimeout(expiry);
      this.#lanes.clear();
    });
  }

  #receive(message: string | Uint8Array): void {
    let lane = UNNAMED;
    try {
      const { type, stream_id: streamId, ...body } = decodeText(message);
      lane = laneOf(streamId);
      if (type !== 'response.create') throw invalid(`type: must be 'response.create', got ${quote(type)}`, 'type');
      if (body.background === true) throw invalid('background: is for requests over HTTP', 'background');
      if (this.#isExpired) throw expired();
      this.#queue(lane, { body, numCharacters: message.length });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#sendError(lane, error, newRequestId());
    }
  }

  #queue(name: string, request: Waiting): void {
    const known = this.#lanes.get(name);
    if (known === undefined && this.#lanes.size >= MAX_LANES) {
      throw invalid(`stream_id: a connection has at most ${MAX_LANES} lanes: use one of them again`, 'stream_id');
    }
    const waiting = [...this.#lanes.values()].flatMap((lane) => lane.waiting);
    const numCharacters = waiting.reduce((sum, each) => sum + each.numCharacters, 0);
    if (waiting.length >= MAX_WAITING || numCharacters + request.numCharacters > MAX_WAITING_CHARACTERS) {
      const limits = `${MAX_WAITING} requests and ${MAX_WAITING_CHARACTERS} characters may wait on one connection`;
      throw new EngineError('overloaded', `${limits}: wait for a response, and send this one again`);
    }
    const lane = known ?? { isRunning: false, waiting: [] };
    this.#lanes.set(name, lane);
    lane.waiting.push(request);
    this.#startNext();
  }

  /** Every lane in turn, as far as there is room. */
  #startNext(): void {
    for (const [name, lane] of this.#lanes) {
      if (this.#numRunning >= MAX_RUNNING) return;
      const next = lane.isRunning ? undefined : lane.waiting.shift();
      if (next === undefined) continue;
      lane.isRunning = true;
      this.#numRunning++;
      void this.#answer(name, next).finally(() => {
        lane.isRunning = false;
        this.#numRunning--;
        // At the end of the line, so that no lane starves another.
        if (this.#lanes.delete(name)) this.#lanes.set(name, lane);
        if (this.#isExpired) this.#leaveWhenIdle();
        this.#startNext();
      });
    }
  }

  #answer(lane: string, { body, numCharacters }: Waiting): Promise<void> {
    const { exchanges, request, run } = this.#context;
    const { previous_response_id: previousId } = body;
    const options = { route: PATH, signal: this.#socket.signal, failsInside: true };
    const reply = new EventReply(options, {
      event: (event) => this.#writer.send(onLane(lane, event)),
      drained: () => this.#writer.drained(),
      done: () => {},
      fail: (error, requestId) => {
        if (typeof previousId === 'string') this.#responses.forget(previousId);
        return this.#sendError(lane, error, requestId);
      },
    });
    const responses = { of: (owner: string) => this.#responses.on(lane, exchanges.responses.of(owner)) };
    return run(reply, numCharacters, () =>
      answerExchange({ ...exchanges, responses }, this.#route, { ...body, stream: true }, request, reply),
    );
  }

  /** Returns the status. */
  #sendError(lane: string, error: EngineError, requestId: string): number {
    const { status, body } = openaiResponses.error(error, requestId);
    this.#writer.send(onLane(lane, { type: 'error', status, ...body }));
    return status;
  }

  #expire(): void {
    this.#isExpired = true;
    this.#leaveWhenIdle();
  }

  /** What was asked for in time is still answered. */
  #leaveWhenIdle(): void {
    if (this.#numRunning > 0 || [...this.#lanes.values()].some(({ waiting }) => waiting.length > 0)) return;
    this.#sendError(UNNAMED, expired(), newRequestId());
    this.#socket.close(NORMAL_CLOSURE, 'the connection has reached its age limit');
  }
}

const decodeText = (message: string | Uint8Array): Body => {
  if (typeof message !== 'string') throw invalid('a binary message: send response.create as JSON text');
  const value = parseJson(Buffer.from(message));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
  throw invalid('a message must be a JSON object');
};

const laneOf = (streamId: unknown): string => {
  if (streamId === undefined || streamId === null) return UNNAMED;
  if (typeof streamId === 'string' && LANE.test(streamId)) return streamId;
  throw invalid(
    `stream_id: must be 1 to 256 letters, digits or characters of _ . -, got ${quote(streamId)}`,
    'stream_id',
  );
};

const onLane = (lane: string, event: object): object => (lane === UNNAMED ? event : { ...event, stream_id: lane });

const quote = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

const invalid = (message: string, param?: string): EngineError =>
  new EngineError('invalid_request', message, { reason: 'invalid_frame', ...(param === undefined ? {} : { param }) });

const expired = (): EngineError =>
  new EngineError(
    'invalid_request',
    'this connection has reached its limit of 60 minutes: open a new one, and go on with a stored response or the whole input',
    { reason: 'websocket_connection_limit_reached' },
  );
