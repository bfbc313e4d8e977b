/**
 * `/v1/coordination/sessions…`: several agents in one conversation, each with its own context.
 * Source of paths and field names: agent-memory's server (github.com/yshk-mxim/agent-memory).
 */
import type { Engine, Usage } from '../../runtime/api.ts';
import { EngineError } from '../../runtime/errors.ts';
import { readBody } from '../body.ts';
import { parseBody } from '../dialects/body-schema.ts';
import { openaiError, usageBody } from '../dialects/openai.ts';
import type { HttpRequest } from '../http.ts';
import { parseJson } from '../json-body.ts';
import type { Metrics } from '../metrics.ts';
import type { PlainRoute } from '../plain-route.ts';
import type { Reply } from '../reply.ts';
import { type Action, act } from './actions.ts';
import {
  createdBody,
  eventBody,
  messageBody as messageAnswer,
  sessionBody,
  sessionDetailBody,
  usageTotal,
} from './answer-bodies.ts';
import { AnswerStream } from './answer-stream.ts';
import * as bodies from './bodies.ts';
import { createSession } from './create-session.ts';
import { forgetAgents, forgetKept } from './forget-agents.ts';
import { followMessages, listMessages } from './messages.ts';
import type { CoordinationSession } from './session.ts';
import { SessionList } from './session-list.ts';
import type { TurnContext, TurnEvent } from './turns.ts';

export interface CoordinationContext {
  readonly engine: Engine;
  readonly metrics: Metrics;
  readonly pingIntervalMs: number;
  readonly bodyLimitBytes: number;
  /** Aborts when the server drains: who reads along is let go. */
  readonly stopping: AbortSignal;
  ownerOf(request: HttpRequest): string;
  /** Takes a place for a generation; the returned function gives it back. @throws EngineError overloaded */
  admit(): () => void;
  /** Makes anything thrown an error that clients may see. */
  toEngineError(error: unknown, reply: Reply): EngineError;
}

const PATH = '/v1/coordination/sessions';
const CACHES_PATH = '/v1/coordination/caches';
const CACHES_ROUTE = new RegExp(`^${CACHES_PATH}/([\\w.-]+)$`);
const ROUTE = new RegExp(`^${PATH}(?:/([\\w-]+)(?:/(turn|round|whisper|vote|messages)(/stream)?)?)?$`);

export class CoordinationRoutes {
  readonly #context: CoordinationContext;
  readonly #sessions = new SessionList();

  constructor(context: CoordinationContext) {
    this.#context = context;
  }

  /** Undefined for other paths. */
  routeOf(path: string): PlainRoute | undefined {
    const prefix = CACHES_ROUTE.exec(path)?.[1];
    if (prefix !== undefined) {
      return {
        name: `${CACHES_PATH}/{prefix}`,
        methods: ['DELETE'],
        answer: async (request, reply) => {
          await forgetKept(prefix, this.#context.ownerOf(request), this.#context.engine);
          reply.text(204, '');
        },
      };
    }
    const match = ROUTE.exec(path);
    if (match === null) return undefined;
    const [, id, action, stream = ''] = match;
    const route = (name: string, methods: readonly string[], answer: PlainRoute['answer']): PlainRoute => ({
      name: PATH + name,
      methods,
      answer,
    });
    if (id === undefined) return route('', ['GET', 'HEAD', 'POST'], (...call) => this.#answerAll(...call));
    if (action === undefined)
      return route('/{id}', ['GET', 'HEAD', 'DELETE'], (...call) => this.#answerOne(id, ...call));
    const name = `/{id}/${action}${stream}`;
    if (action !== 'messages') {
      return route(name, ['POST'], (...call) => this.#answerAction(id, action as Action, stream !== '', ...call));
    }
    const methods = stream === '' ? ['GET', 'HEAD', 'POST'] : ['GET'];
    return route(name, methods, (...call) => this.#answerMessages(id, stream !== '', ...call));
  }

  async #answerAll(request: HttpRequest, reply: Reply): Promise<void> {
    const owner = this.#context.ownerOf(request);
    if (request.method !== 'POST') {
      reply.json(200, { sessions: this.#sessions.of(owner).map(sessionBody) });
      return;
    }
    const body = parseBody(bodies.createBody, await this.#body(request));
    const session = createSession(body, owner, this.#context.engine.model);
    this.#sessions.add(session);
    reply.json(201, createdBody(session));
  }

  async #answerOne(id: string, request: HttpRequest, reply: Reply): Promise<void> {
    const session = this.#sessions.get(this.#context.ownerOf(request), id);
    if (request.method !== 'DELETE') {
      reply.json(200, sessionDetailBody(session));
      return;
    }
    this.#sessions.delete(session);
    await session.idle();
    await forgetAgents(session, this.#context.engine);
    reply.text(204, '');
  }

  async #answerMessages(id: string, isStream: boolean, request: HttpRequest, reply: Reply): Promise<void> {
    const { pingIntervalMs, stopping } = this.#context;
    const body = request.method === 'POST' ? await this.#body(request) : undefined;
    const session = this.#sessions.get(this.#context.ownerOf(request), id);
    if (body !== undefined) {
      const { content, sender_name: name } = parseBody(bodies.messageBody, body);
      const message = await session.exclusively(() => session.post('user', name ?? 'User', content));
      reply.json(200, { message: messageAnswer(session, message), session_status: sessionBody(session) });
    } else if (isStream || request.query.get('stream') === 'true') {
      const signal = AbortSignal.any([request.signal, stopping, session.deleted]);
      await followMessages(session, request.query, new AnswerStream(reply, pingIntervalMs), signal);
    } else reply.json(200, { session_id: id, messages: listMessages(session, request.query) });
  }

  async #answerAction(
    id: string,
    action: Action,
    isStreamPath: boolean,
    request: HttpRequest,
    reply: Reply,
  ): Promise<void> {
    const body = await this.#body(request);
    const session = this.#sessions.get(this.#context.ownerOf(request), id);
    const isStream =
      isStreamPath || (typeof body === 'object' && body !== null && Reflect.get(body, 'stream') === true);
    const stream = isStream ? new AnswerStream(reply, this.#context.pingIntervalMs) : undefined;
    const usages: Usage[] = [];
    let accumulated = '';
    const emit = (event: TurnEvent): void => {
      if (stream === undefined) return;
      if (event.type === 'token') accumulated += event.text;
      // agent-memory's demo shows this field of a turn's tokens; a round's have none there either.
      const sofar = event.type === 'token' && action === 'turn' ? { accumulated } : {};
      stream.send({ ...eventBody(session, event), ...sofar });
    };
    const count = (usage: Usage): void => {
      usages.push(usage);
      reply.usage = usageTotal(usages);
    };
    const turns = this.#turnContext(session, request, reply, { emit, count });
    try {
      const { body: answer, end } = await act(action, body, { session, requestId: reply.requestId, turns });
      const whole = { ...answer, session_status: sessionBody(session), usage: usageBody(usageTotal(usages)) };
      if (stream === undefined) reply.json(200, whole);
      else stream.send({ ...whole, ...end });
    } catch (error) {
      const known = session.deleted.aborted ? deletedMeanwhile(id) : this.#context.toEngineError(error, reply);
      if (!reply.hasBegun) throw known;
      stream?.send({ type: 'error', ...openaiError(known).body });
    } finally {
      stream?.end();
    }
  }

  #turnContext(
    session: CoordinationSession,
    request: HttpRequest,
    reply: Reply,
    sinks: Pick<TurnContext, 'emit' | 'count'>,
  ): TurnContext {
    const { engine, metrics, admit } = this.#context;
    return {
      ...sinks,
      engine,
      metrics,
      session,
      requestId: reply.requestId,
      signal: AbortSignal.any([request.signal, session.deleted]),
      admit: (numPlaces) => {
        const places: (() => void)[] = [];
        const giveBack = (): void => places.splice(0).forEach((place) => void place());
        try {
          while (places.length < numPlaces) places.push(admit());
        } catch (error) {
          giveBack();
          throw error;
        }
        return giveBack;
      },
    };
  }

  /** agent-memory's clients send no body where every field has a default. */
  async #body(request: HttpRequest): Promise<unknown> {
    const body = await readBody(request, this.#context.bodyLimitBytes);
    return body.byteLength === 0 ? {} : parseJson(body);
  }
}

const deletedMeanwhile = (id: string): EngineError =>
  new EngineError('not_found', `the coordination session '${id}' was deleted while this request was at work`, {
    reason: 'session_not_found',
  });
