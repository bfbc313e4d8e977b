/** One exchange, whoever carries it: the body is parsed, its prompt made canonical, its session named, and it is answered. */
import { EngineError } from '../runtime/errors.ts';
import { BackgroundReply } from './background-reply.ts';
import type { Background, DialectRoute, GenerateExchange } from './dialects/dialect.ts';
import { embed } from './embed.ts';
import { type ExchangeReply, type GenerateContext, generate } from './generate.ts';
import type { RequestHead } from './http.ts';
import type { ServerOptions } from './options.ts';
import type { PromptCanon } from './prompt-canon.ts';
import type { OwnResponses } from './responses/response-record.ts';
import type { StreamStore } from './resume/stream-store.ts';
import { cacheHints } from './session-hints.ts';

export interface ExchangeContext extends GenerateContext, Pick<ServerOptions, 'sessionFields' | 'strict'> {
  readonly canon: PromptCanon;
  /** Of answers in the background. */
  readonly streams: StreamStore;
  /** Stored responses, by owner. */
  readonly responses: { of(owner: string): OwnResponses };
  ownerOf(request: RequestHead): string;
}

/** @throws EngineError while the answer has not begun */
export const answerExchange = async (
  context: ExchangeContext,
  route: DialectRoute,
  body: unknown,
  request: RequestHead,
  reply: ExchangeReply,
): Promise<void> => {
  const { engine, canon } = context;
  const owner = context.ownerOf(request);
  const exchange = await route.parse(body, {
    model: engine.model,
    tokenizer: engine.tokenizer,
    requestId: reply.requestId,
    createdAt: Math.floor(Date.now() / 1000),
    responses: context.responses.of(owner),
    ...(context.strict ? { strictVersion: request.headers.get('anthropic-version') ?? '' } : {}),
  });
  if (exchange.kind === 'count') {
    reply.json(200, exchange.response(await engine.countTokens(canon.apply(owner, exchange.prompt))));
    return;
  }
  if (exchange.kind === 'embed') {
    await embed(engine, exchange, reply);
    return;
  }
  const cache = cacheHints(request, owner, exchange.hints, context.sessionFields);
  const { background } = exchange;
  const answering = background ? inBackground(context, { background, stream: exchange.stream, owner }, reply) : reply;
  // In the background every answer is a stream, so that it can be looked at while it is made.
  const stream = exchange.stream || background !== undefined;
  for (let next: GenerateExchange | undefined = exchange; next !== undefined; ) {
    const requests = next.requests.map((each) => ({ ...each, prompt: canon.apply(owner, each.prompt), cache }));
    next = await generateOrShorten(context, { ...next, requests, stream }, answering);
  }
};

/** Their events are kept so long after the end, for who comes back to read on. */
const BACKGROUND_GRACE_MS = 10 * 60 * 1000;

const inBackground = (
  { streams }: ExchangeContext,
  { background, stream, owner }: { background: Background; stream: boolean; owner: string },
  reply: ExchangeReply,
): ExchangeReply =>
  new BackgroundReply(reply, {
    ...(stream ? {} : { begun: background.begun }),
    open: () => streams.open(background.id, owner, BACKGROUND_GRACE_MS),
  });

/** Returns what to try instead, when the prompt was refused as too long. */
const generateOrShorten = async (
  context: GenerateContext,
  exchange: GenerateExchange,
  reply: ExchangeReply,
): Promise<GenerateExchange | undefined> => {
  try {
    await generate(context, exchange, reply);
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const shorter = exchange.shorter?.(error);
    if (shorter === undefined) throw exchange.explain?.(error) ?? error;
    return shorter;
  }
};
