/** The engine behind a MessagePort: what crosses between the thread that serves and the thread that computes. */
import type { MessagePort } from 'node:worker_threads';
import type {
  EmbedOptions,
  Engine,
  EngineStats,
  Generation,
  GenerationEvent,
  GenerationRequest,
  ModelDescription,
  Prompt,
  Sessions,
  Tokenization,
} from './api.ts';
import type { LoadProgress } from './create-engine-options.ts';
import { EngineError, type ErrorRecord, toErrorRecord } from './errors.ts';

/** The parts of an engine whose methods are all called alike: parameters in, one promise out. */
export interface EngineCalls {
  readonly sessions: Sessions;
  readonly tokenizer: Tokenization;
}

/** One such call. */
export interface EngineCall {
  readonly target: keyof EngineCalls;
  readonly name: string;
  readonly parameters: readonly unknown[];
}

export type ToEngine =
  | { readonly type: 'generate'; readonly id: number; readonly request: GenerationRequest }
  | {
      readonly type: 'embed';
      readonly id: number;
      readonly prompts: readonly Prompt[];
      readonly options: Omit<EmbedOptions, 'signal'>;
    }
  | { readonly type: 'count'; readonly id: number; readonly prompt: Prompt }
  | ({ readonly type: 'call'; readonly id: number } & EngineCall)
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' };

export type FromEngine =
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'unavailable'; readonly error: ErrorRecord }
  | { readonly type: 'ready'; readonly model: ModelDescription; readonly adapter: string; readonly stats: EngineStats }
  | { readonly type: 'refused'; readonly id: number; readonly error: ErrorRecord }
  | { readonly type: 'accepted'; readonly id: number; readonly generation: Omit<Generation, 'events'> }
  /** What a `count`, a `call` or an `embed` was asked for. */
  | { readonly type: 'returned'; readonly id: number; readonly value: unknown }
  /** What happened since the last such message, in order. */
  | { readonly type: 'happened'; readonly happenings: readonly Happening[]; readonly stats: EngineStats }
  | { readonly type: 'closed' };

/** An event of a generation, or how its stream ended. */
export type Happening =
  | { readonly id: number; readonly event: GenerationEvent }
  | { readonly id: number; readonly end: 'done' | ErrorRecord };

/** How often the other side learns the load when nothing else is said. */
const STATS_INTERVAL_MS = 200;

/** Serves an engine to the other end of `port` until that asks to close; then closes the engine and the port. */
export const serveEngine = (engine: Engine, port: MessagePort): void => {
  const aborts = new Map<number, AbortController>();
  let happenings: Happening[] = [];
  let lastStats = '';
  const post = (message: FromEngine): void => port.postMessage(message);
  const flush = (): void => {
    const stats = engine.stats();
    lastStats = JSON.stringify(stats);
    post({ type: 'happened', happenings, stats });
    happenings = [];
  };
  // All that one step says to all its generations leaves as one message.
  const tell = (happening: Happening): void => {
    if (happenings.push(happening) === 1) setImmediate(flush);
  };
  const timer = setInterval(() => {
    if (JSON.stringify(engine.stats()) !== lastStats) flush();
  }, STATS_INTERVAL_MS);

  const generate = async (id: number, request: GenerationRequest): Promise<void> => {
    const abort = new AbortController();
    aborts.set(id, abort);
    try {
      const { events, ...generation } = await engine.generate(request, abort.signal);
      post({ type: 'accepted', id, generation });
      try {
        for await (const event of events) tell({ id, event });
        tell({ id, end: 'done' });
      } catch (error) {
        tell({ id, end: toErrorRecord(error) });
      }
    } catch (error) {
      post({ type: 'refused', id, error: toErrorRecord(error) });
    } finally {
      aborts.delete(id);
    }
  };
  const answer = async (id: number, work: () => Promise<unknown>): Promise<void> => {
    try {
      post({ type: 'returned', id, value: await work() });
    } catch (error) {
      post({ type: 'refused', id, error: toErrorRecord(error) });
    }
  };
  const embed = async ({ id, prompts, options }: Extract<ToEngine, { type: 'embed' }>): Promise<void> => {
    const abort = new AbortController();
    aborts.set(id, abort);
    await answer(id, () => engine.embed(prompts, { ...options, signal: abort.signal }));
    aborts.delete(id);
  };
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await engine.close();
    // The last words of failed generations are on their way; `closed` goes behind them.
    setImmediate(() => {
      flush();
      post({ type: 'closed' });
      port.close();
    });
  };

  port.on('message', (message: ToEngine) => {
    if (message.type === 'generate') void generate(message.id, message.request);
    else if (message.type === 'embed') void embed(message);
    else if (message.type === 'count') void answer(message.id, () => engine.countTokens(message.prompt));
    else if (message.type === 'call') void answer(message.id, () => call(engine, message));
    else if (message.type === 'abort') aborts.get(message.id)?.abort();
    else void close();
  });
  post({ type: 'ready', model: engine.model, adapter: engine.adapter, stats: engine.stats() });
};

const call = (engine: EngineCalls, { target, name, parameters }: EngineCall): Promise<unknown> => {
  const part = engine[target];
  const method = Reflect.get(part, name) as (...parameters: unknown[]) => Promise<unknown>;
  return Reflect.apply(method, part, parameters);
};

/** The port's other end is gone, or the thread is: what was asked there will not be answered. */
export const engineGone = (): EngineError =>
  new EngineError('internal', 'the engine thread ended unexpectedly; restart the server', {});
