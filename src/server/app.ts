/** The server: checks who calls, finds the route, and lets the dialect, the engine and the transport do the rest. */
import { type Logger, pino } from 'pino';
import type { Engine, Usage } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { urlHost } from './address.ts';
import { agentRouteOf } from './agents-route.ts';
import { Access, isLoopback } from './auth.ts';
import { BodyBudget } from './body-budget.ts';
import { type CoordinationContext, CoordinationRoutes } from './coordination/route.ts';
import type { Dialect, DialectRoute } from './dialects/dialect.ts';
import { DIALECTS, dialectOf, isVendorPath, routeOf } from './dialects/index.ts';
import { answerExchange, type ExchangeContext } from './exchange.ts';
import { readHealth } from './health.ts';
import type { HttpRequest, HttpResponse, Transport } from './http.ts';
import { readJson } from './json-body.ts';
import { draining, RequestLimits } from './limits.ts';
import { Metrics } from './metrics.ts';
import { modelListRoute, modelRouteOf } from './models-route.ts';
import { descriptionRoutes } from './openapi/route.ts';
import { DEFAULT_SERVER_OPTIONS, type ServerOptions } from './options.ts';
import { assetRouteOf, isPageFile, pageRoute } from './page/route.ts';
import { type PlainRoute, readRoute } from './plain-route.ts';
import { PromptCanon } from './prompt-canon.ts';
import { newRequestId, Reply } from './reply.ts';
import { DEFAULT_RESPONSE_STORE, ResponseStore } from './responses/response-store.ts';
import { type ResponseRouteContext, responseRouteOf } from './responses/routes.ts';
import { ResumableReply, wantsResume } from './resume/resumable-reply.ts';
import { type StreamRouteContext, streamRouteOf } from './resume/route.ts';
import { StreamStore } from './resume/stream-store.ts';
import { type SessionContext, sessionRouteOf } from './sessions-route.ts';
import { type UpgradeContext, Upgrades } from './sockets/upgrades.ts';
import { storeRouteOf } from './store-route.ts';
import { type TokensContext, tokenRoutes } from './tokens-route.ts';
import { createTransport, defaultTransport } from './transports/index.ts';

/** A listening server. */
export interface Server {
  /** `http://host:port`, fit for a client on this machine. */
  readonly url: string;
  readonly port: number;
  /** Takes no new requests, lets running ones end, then closes. Resolves when that is done. */
  drain(): Promise<void>;
  /** Cuts every connection now. The engine stays open: who made it closes it. */
  close(): Promise<void>;
}

/**
 * Serves an engine over HTTP in the OpenAI and the Anthropic dialect. Resolves once it listens.
 * @throws EngineError config_invalid: the port is taken, or the address is open to others without a key
 */
export const createServer = async (engine: Engine, options: Partial<ServerOptions> = {}): Promise<Server> => {
  const all = { ...DEFAULT_SERVER_OPTIONS, ...options };
  const log = all.logger ?? pino({ level: all.logLevel }, pino.destination(STDERR));
  const responses = await ResponseStore.open({ ...DEFAULT_RESPONSE_STORE, ...all.responseStore }, (reason) =>
    log.warn({ reason }, 'stored responses have trouble; answers go on'),
  );
  return new App(engine, all, { log, responses }).listen();
};

const BAD_REQUEST = 400;

/** Stdout is the program's own. */
const STDERR = 2;

/** What pages of listed origins may send where a route says nothing else. */
const PAGE_METHODS = ['GET', 'HEAD', 'POST'];

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'WS']);

/** What routes may use of the server, each its own part. */
type RouteContext = ExchangeContext &
  TokensContext &
  SessionContext &
  ResponseRouteContext &
  StreamRouteContext &
  CoordinationContext;

class App {
  readonly #engine: Engine;
  readonly #options: ServerOptions;
  readonly #access: Access;
  readonly #limits: RequestLimits;
  readonly #bodies: BodyBudget;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #plainRoutes: ReadonlyMap<string, PlainRoute>;
  readonly #coordination: CoordinationRoutes;
  readonly #responses: ResponseStore;
  readonly #context: RouteContext;
  readonly #streams: StreamStore;
  readonly #stopping = new AbortController();
  #drained: Promise<void> | undefined;

  constructor(engine: Engine, options: ServerOptions, { log, responses }: { log: Logger; responses: ResponseStore }) {
    this.#engine = engine;
    this.#options = options;
    this.#access = new Access(options);
    this.#limits = new RequestLimits(options.maxConcurrentRequests, 'requests are in flight');
    this.#bodies = new BodyBudget(options.heldBodiesBytes);
    this.#responses = responses;
    this.#metrics = new Metrics(engine, responses);
    this.#log = log;
    this.#streams = new StreamStore(options.streamStore);
    this.#context = {
      engine,
      metrics: this.#metrics,
      canon: new PromptCanon(!options.verbatimPrompts),
      responses,
      streams: this.#streams,
      bodies: this.#bodies,
      bodyLimitBytes: options.bodyLimitBytes,
      pingIntervalMs: options.pingIntervalMs,
      sessionFields: options.sessionFields,
      strict: options.strict,
      stopping: this.#stopping.signal,
      ownerOf: (request) => this.#access.ownerOf(request),
      admit: () => this.#limits.admit(),
      toEngineError: (error, reply) => this.#toEngineError(error, reply),
    };
    const hello: PlainRoute['answer'] = (_request, reply) =>
      reply.text(200, `Firstlight serves ${engine.model.id}\n`, { 'content-type': 'text/plain; charset=utf-8' });
    const routes = [
      pageRoute(hello),
      readRoute('/api/hello', hello, 'everyone'),
      readRoute('/health', (_request, reply) => this.#answerHealth(reply), 'probes'),
      readRoute('/health/ready', (_request, reply) => this.#answerHealth(reply), 'probes'),
      readRoute('/health/live', (_request, reply) => reply.json(200, { status: 'ok' }), 'probes'),
      readRoute('/metrics', (_request, reply) => this.#answerMetrics(reply), 'probes'),
      modelListRoute(engine.model, options.modelStore),
      ...descriptionRoutes(),
      ...tokenRoutes(this.#context),
    ];
    this.#plainRoutes = new Map(routes.map((route) => [route.name, route]));
    this.#coordination = new CoordinationRoutes(this.#context);
  }

  async listen(): Promise<Server> {
    const { host, transport: name = defaultTransport() } = this.#options;
    const upgrades = new Upgrades(this.#upgradeContext());
    const transport = await createTransport(name, (request, response) => void this.#serve(request, response), {
      listener: (request, response) => void upgrades.serve(request, response),
      maxMessageBytes: this.#options.bodyLimitBytes,
    });
    const port = await transport.listen(host, this.#options.port);
    this.#log.debug({ transport: transport.name, host, port }, 'listening');
    return {
      url: `http://${urlHost(host)}:${port}`,
      port,
      drain: () => {
        this.#drained ??= this.#drain(transport);
        return this.#drained;
      },
      close: () => this.#close(transport),
    };
  }

  async #close(transport: Transport): Promise<void> {
    this.#responses.close();
    this.#streams.close();
    await transport.close();
  }

  async #drain(transport: Transport): Promise<void> {
    this.#log.info('draining: running requests go on to their end, downloads stop');
    transport.stopAccepting();
    this.#stopping.abort();
    this.#streams.stop();
    await this.#limits.idle();
    await this.#close(transport);
  }

  get #isDraining(): boolean {
    return this.#drained !== undefined;
  }

  #upgradeContext(): UpgradeContext {
    return {
      access: this.#access,
      limits: this.#limits,
      bodies: this.#bodies,
      metrics: this.#metrics,
      exchanges: this.#context,
      maxSockets: this.#options.maxConcurrentRequests,
      stopping: this.#stopping.signal,
      answerError: (error, request, reply) =>
        this.#answerError(dialectOf(request), this.#toEngineError(error, reply), reply),
      record: (method, reply) => this.#record(method, reply),
    };
  }

  /** Never rejects: whatever happens becomes an answer and a log line. */
  async #serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const reply = new Reply(newRequestId(), request, response);
    const dialect = dialectOf(request);
    this.#limits.enter();
    try {
      await this.#answer(dialect, request, reply);
    } catch (error) {
      this.#answerError(dialect, this.#toEngineError(error, reply), reply);
    } finally {
      this.#limits.leave();
      this.#record(request.method, reply);
    }
  }

  async #answer(dialect: Dialect, request: HttpRequest, reply: Reply): Promise<void> {
    this.#access.checkHostAndOrigin(request);
    reply.addHeaders(this.#access.corsHeaders(request));
    const route = routeOf(request.path);
    const plainRoute = this.#plainRouteOf(request.path);
    const access = plainRoute?.access;
    reply.route = plainRoute?.name ?? route?.path ?? 'unmatched';
    if (route !== undefined || isVendorPath(request.path)) reply.timeHeaders(dialect.headers);
    if (request.method === 'OPTIONS') {
      const methods = plainRoute === undefined || access === 'this machine' ? PAGE_METHODS : plainRoute.methods;
      return reply.text(204, '', this.#access.preflightHeaders(request, methods));
    }
    const isOpen = access === 'everyone' || (access === 'probes' && isLoopback(request.remoteAddress));
    if (!isOpen) this.#access.checkKey(request);
    if (route === undefined && plainRoute === undefined) throw notFound(request);
    if (access === 'this machine') this.#access.checkLocal(request);
    const methods = plainRoute?.methods ?? ['POST'];
    if (!methods.includes(request.method)) {
      reply.addHeaders({ allow: [...methods, 'OPTIONS'].join(', ') });
      throw new EngineError(
        'method_not_allowed',
        `${request.path} answers ${methods.join(', ')}, not ${request.method}`,
      );
    }
    if (this.#isDraining && access !== 'probes') throw draining();
    if (plainRoute !== undefined) return plainRoute.answer(request, reply);
    if (route !== undefined) await this.#answerDialect(route, request, reply);
  }

  async #answerDialect(route: DialectRoute, request: HttpRequest, reply: Reply): Promise<void> {
    const { bodyLimitBytes } = this.#options;
    const giveBack = this.#limits.admit();
    const held = this.#bodies.hold();
    try {
      const body = await readJson(request, bodyLimitBytes, held);
      const answering = wantsResume(request)
        ? new ResumableReply(reply, this.#streams, this.#access.ownerOf(request))
        : reply;
      await answerExchange(this.#context, route, body, request, answering);
    } finally {
      held.release();
      giveBack();
    }
  }

  #answerError(dialect: Dialect, error: EngineError, reply: Reply): void {
    if (reply.hasBegun) return;
    const { status, headers, body } = dialect.error(error, reply.requestId);
    reply.timeHeaders(dialect.headers);
    reply.json(status, body, headers);
  }

  /** Errors without a code are ours: the client learns where to look, the log learns what happened. */
  #toEngineError(error: unknown, reply: Pick<Reply, 'requestId'>): EngineError {
    if (error instanceof EngineError) return error;
    this.#log.error({ requestId: reply.requestId, err: error }, 'unexpected error');
    return new EngineError('internal', `internal error: the server's log has the cause under ${reply.requestId}`);
  }

  #plainRouteOf(path: string): PlainRoute | undefined {
    const { modelStore: store } = this.#options;
    const { model } = this.#engine;
    return (
      this.#plainRoutes.get(path) ??
      assetRouteOf(path) ??
      modelRouteOf(path, model, store) ??
      responseRouteOf(path, this.#context) ??
      sessionRouteOf(path, this.#context) ??
      agentRouteOf(path, this.#context) ??
      streamRouteOf(path, this.#context) ??
      this.#coordination.routeOf(path) ??
      (store === undefined ? undefined : storeRouteOf(path, { ...this.#context, store, model }))
    );
  }

  #answerHealth(reply: Reply): void {
    const health = readHealth(this.#engine, this.#isDraining);
    reply.json(health.status === 'ok' ? 200 : 503, health);
  }

  async #answerMetrics(reply: Reply): Promise<void> {
    reply.text(200, await this.#metrics.text(), { 'content-type': this.#metrics.contentType });
  }

  /** One line a request, without anything that a client wrote or a model said. */
  #record(sentMethod: string, reply: Parameters<UpgradeContext['record']>[1]): void {
    const { requestId, route, status, usage } = reply;
    // A method may be any word, too: none of a client's own goes into a label or a line.
    const method = METHODS.has(sentMethod) ? sentMethod : 'other';
    this.#metrics.countRequest(route, method, status);
    const ms = Math.round(performance.now() - reply.arrivedMs);
    const line = { requestId, method, route, status, ms, ...(usage && tokenCounts(usage)) };
    if (isPageFile(route) && status < BAD_REQUEST) this.#log.debug(line, 'request');
    else this.#log.info(line, 'request');
  }
}

const tokenCounts = ({ promptTokens, cachedTokens, completionTokens }: Usage): object => ({
  promptTokens,
  cachedTokens,
  completionTokens,
});

const notFound = ({ method, path }: HttpRequest): EngineError =>
  new EngineError(
    'not_found',
    `unknown URL (${method} ${path}): this server answers ${DIALECTS.flatMap((dialect) => dialect.routes.map((route) => route.path)).join(', ')} and what /docs lists`,
  );
