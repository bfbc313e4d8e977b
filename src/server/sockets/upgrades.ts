/** WebSocket handshakes: checked as any other request, then handed to the route; and what all sockets have in common. */
import { EngineError } from '../../runtime/errors.ts';
import { type Access, isKeyProtocol, offeredProtocols } from '../auth.ts';
import type { BodyBudget } from '../body-budget.ts';
import type { ExchangeContext } from '../exchange.ts';
import type { RequestHead, Socket, UpgradeResponse } from '../http.ts';
import { draining, RequestLimits } from '../limits.ts';
import type { Metrics } from '../metrics.ts';
import { newRequestId, Reply } from '../reply.ts';
import { socketRouteOf } from './index.ts';
import type { SocketContext, SocketReply, SocketRoute } from './route.ts';

const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

/** Requests on sockets have no method of their own. */
const SOCKET_METHOD = 'WS';

export interface UpgradeContext {
  readonly access: Access;
  readonly limits: RequestLimits;
  readonly bodies: BodyBudget;
  readonly metrics: Metrics;
  readonly exchanges: ExchangeContext;
  readonly maxSockets: number;
  /** Aborts when the server drains. */
  readonly stopping: AbortSignal;
  answerError(error: unknown, request: RequestHead, reply: Reply): void;
  record(method: string, reply: Pick<SocketReply, 'requestId' | 'arrivedMs' | 'route' | 'status' | 'usage'>): void;
}

export class Upgrades {
  readonly #context: UpgradeContext;
  readonly #places: RequestLimits;
  /** What each socket does when the server drains. */
  readonly #leaving = new Set<() => void>();

  constructor(context: UpgradeContext) {
    this.#context = context;
    this.#places = new RequestLimits(context.maxSockets, 'WebSockets are open');
    context.stopping.addEventListener('abort', () => {
      for (const leave of this.#leaving) leave();
    });
  }

  /** Answers a handshake, and stays until the socket has ended. Never rejects. */
  async serve(request: RequestHead, response: UpgradeResponse): Promise<void> {
    const { limits, metrics } = this.#context;
    const reply = new Reply(newRequestId(), request, response);
    limits.enter();
    try {
      const [route, protocol] = this.#check(request, reply);
      const giveBack = this.#places.admit();
      metrics.socketOpened();
      reply.upgraded();
      try {
        await this.#hold(response.accept(protocol), route, request);
      } finally {
        giveBack();
        metrics.socketClosed();
      }
    } catch (error) {
      this.#context.answerError(error, request, reply);
    } finally {
      limits.leave();
      this.#context.record(request.method, reply);
    }
  }

  #check(request: RequestHead, reply: Reply): readonly [route: SocketRoute, protocol: string | undefined] {
    const { access, stopping } = this.#context;
    access.checkHostAndOrigin(request);
    reply.addHeaders(access.corsHeaders(request));
    const route = socketRouteOf(request.path);
    reply.route = route?.path ?? 'unmatched';
    access.checkKey(request);
    if (route === undefined) {
      throw new EngineError('not_found', `unknown URL (WebSocket ${request.path}): no WebSocket is answered there`);
    }
    if (stopping.aborted) throw draining();
    const offered = offeredProtocols(request);
    const spoken = offered.filter((protocol) => !isKeyProtocol(protocol));
    const protocol = agreedProtocol(route, spoken);
    if (protocol !== undefined || offered.length === 0) return [route, protocol];
    // A page's browser gives up unless one of the sub-protocols that it offers is agreed on.
    throw new EngineError(
      'invalid_request',
      'a key alone was offered as sub-protocol: offer firstlight.json beside it',
    );
  }

  async #hold(socket: Socket, route: SocketRoute, request: RequestHead): Promise<void> {
    const { stopping, exchanges } = this.#context;
    let numRunning = 0;
    const leaveIfStopping = async (): Promise<void> => {
      if (numRunning > 0 || !stopping.aborted) return;
      await socket.drained();
      socket.close(GOING_AWAY, 'the server is shutting down');
    };
    const leave = (): void => void leaveIfStopping();
    this.#leaving.add(leave);
    const run: SocketContext['run'] = async (reply, numBytes, answer) => {
      numRunning++;
      try {
        await this.#run(reply, numBytes, answer);
      } finally {
        numRunning--;
        leave();
      }
    };
    try {
      route.serve(socket, { request, exchanges, run });
    } catch (error) {
      socket.close(INTERNAL_ERROR, 'internal error');
      throw error;
    }
    await ended(socket);
    this.#leaving.delete(leave);
  }

  async #run(reply: SocketReply, numBytes: number, answer: () => Promise<void>): Promise<void> {
    const { limits, bodies, stopping, exchanges } = this.#context;
    limits.enter();
    try {
      if (stopping.aborted) throw draining();
      const giveBack = limits.admit();
      const held = bodies.hold();
      try {
        held.add(numBytes);
        await answer();
      } finally {
        held.release();
        giveBack();
      }
      reply.done();
    } catch (error) {
      reply.fail(exchanges.toEngineError(error, reply));
    } finally {
      limits.leave();
      this.#context.record(SOCKET_METHOD, reply);
    }
  }
}

/** @throws EngineError invalid_request when the client offers some, and none that is spoken here */
const agreedProtocol = ({ protocols }: SocketRoute, offered: readonly string[]): string | undefined => {
  const known = offered.find((protocol) => protocols.includes(protocol));
  if (known !== undefined || offered.length === 0) return known;
  const spoken = protocols.join(' or ');
  throw new EngineError(
    'invalid_request',
    `none of the sub-protocols '${offered.join(', ')}' is spoken here: offer ${spoken}, or none`,
    { reason: 'invalid_frame' },
  );
};

const ended = ({ signal }: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
