/** Runs a generate exchange: submits its requests to the engine, and streams or collects what they say. */
import { setMaxListeners } from 'node:events';
import type { Engine, Generation, Usage } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';
import { lookupHeader, reportHeader } from './cache-header.ts';
import { AnswerCollector, totalUsage } from './dialects/answer.ts';
import type { Encoder, Frame, GenerateExchange } from './dialects/dialect.ts';
import { type ChoiceEvent, EventQueue } from './event-queue.ts';
import type { Metrics } from './metrics.ts';

/** Where the answer to one exchange goes, whatever carries it. `Reply` is the one for HTTP. */
export interface ExchangeReply {
  readonly requestId: string;
  /** `performance.now()` at the request's arrival. */
  readonly arrivedMs: number;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** False: a failure is thrown, and told in a way of its own. True: the encoder tells it, inside the stream. */
  readonly hasBegun: boolean;
  /** Of the whole exchange, as far as is known. */
  usage: Usage | undefined;
  /** Until the answer has begun; a WebSocket has no place for them. */
  addHeaders(headers: Readonly<Record<string, string>>): void;
  /** The whole answer at once. */
  json(status: number, body: object): void;
  /** Begins a stream. */
  frames(): FrameStream;
}

/** The frames of one answer on their way, in order. */
export interface FrameStream {
  /** Always taken; false: the next frames should wait for `drained`. */
  write(frames: readonly Frame[]): boolean;
  /** Resolves when the client has caught up, or has gone. */
  drained(): Promise<void>;
  /** After the last frame, or the failure. */
  end(): void;
}

export interface GenerateContext {
  readonly engine: Engine;
  readonly metrics: Metrics;
  readonly pingIntervalMs: number;
  /** Makes anything thrown an error that clients may see. */
  toEngineError(error: unknown, reply: { readonly requestId: string }): EngineError;
}

/**
 * Answers the request. Everything that can be refused is refused before the first byte; a failure after that is told
 * inside the stream.
 * @throws EngineError while nothing has been sent
 */
export const generate = async (
  context: GenerateContext,
  exchange: GenerateExchange,
  reply: ExchangeReply,
): Promise<void> => {
  const leaving = new AbortController();
  const { signal } = leaving;
  // As many listen as there are choices.
  setMaxListeners(0, signal);
  const sources = [reply.signal, ...(exchange.signal === undefined ? [] : [exchange.signal])];
  const gone = (): void => leaving.abort(sources.find((source) => source.aborted)?.reason);
  if (sources.some((source) => source.aborted)) gone();
  for (const source of sources) source.addEventListener('abort', gone, { once: true });
  try {
    const generations: Generation[] = [];
    for (const each of exchange.requests) generations.push(await context.engine.generate(each, signal));
    const timer = context.metrics.timeGeneration(reply.arrivedMs);
    const usages: Usage[] = [];
    const lookup = generations[0]?.lookup;
    // Until the truth is known; a stream's head may leave before.
    if (lookup !== undefined && exchange.stream) reply.addHeaders(lookupHeader(lookup));
    const queue = new EventQueue(generations, signal, ({ choice, event }) => {
      timer.event(choice, event);
      if (event.type === 'start' && choice === 0 && event.cache) reply.addHeaders(reportHeader(event.cache));
      if (event.type !== 'finish') return;
      usages[choice] = event.usage;
      reply.usage = totalUsage(usages, exchange.choicesPerPrompt);
    });
    if (exchange.stream) await stream(context, exchange.encoder(), queue, reply);
    else await collect(exchange, queue, reply);
  } finally {
    for (const source of sources) source.removeEventListener('abort', gone);
    // One failed choice, or a client gone, ends the others too. After a whole answer this is a no-op.
    leaving.abort(new EngineError('aborted', 'the request has ended'));
  }
};

const collect = async (exchange: GenerateExchange, queue: EventQueue, reply: ExchangeReply): Promise<void> => {
  const collectors = exchange.requests.map(() => new AnswerCollector());
  for (let next = await queue.next(); next !== undefined; next = await queue.next()) {
    collectors[next.choice]?.add(next.event);
  }
  reply.json(200, await exchange.response(collectors.map((collector) => collector.answer())));
};

const stream = async (
  context: GenerateContext,
  encoder: Encoder,
  queue: EventQueue,
  reply: ExchangeReply,
): Promise<void> => {
  const writer = new StreamWriter(reply, queue);
  let pings: NodeJS.Timeout | undefined;
  try {
    await writer.write(await encoder.begin());
    // Not before: they count among the events.
    pings = setInterval(() => writer.ping(encoder), context.pingIntervalMs);
    for (let next = await queue.next(); next !== undefined; next = await queue.next()) {
      await writer.write(encode(encoder, next));
    }
    await writer.write(await encoder.end());
  } catch (error) {
    if (!reply.hasBegun) throw error;
    await writer.write(await encoder.failure(context.toEngineError(error, reply)));
  } finally {
    clearInterval(pings);
    writer.end();
  }
};

const encode = (encoder: Encoder, { choice, event }: ChoiceEvent): readonly Frame[] => encoder.event(choice, event);

/** Writes frames in order; while the client is behind, waits and lets the queue join what comes. */
class StreamWriter {
  readonly #reply: ExchangeReply;
  readonly #queue: EventQueue;
  /** From the first frame on: until then an error can still have a status of its own. */
  #frames: FrameStream | undefined;
  #isSilent = true;

  constructor(reply: ExchangeReply, queue: EventQueue) {
    this.#reply = reply;
    this.#queue = queue;
  }

  async write(frames: readonly Frame[]): Promise<void> {
    if (frames.length === 0) return;
    this.#isSilent = false;
    this.#frames ??= this.#reply.frames();
    if (this.#frames.write(frames)) return;
    this.#queue.isPaused = true;
    await this.#frames.drained();
    this.#queue.isPaused = false;
  }

  /** Called once an interval: writes only if nothing was written since the last call, and the client reads. */
  ping(encoder: Encoder): void {
    if (this.#isSilent && !this.#queue.isPaused) void this.write(encoder.ping());
    this.#isSilent = true;
  }

  end(): void {
    this.#frames?.end();
  }
}
