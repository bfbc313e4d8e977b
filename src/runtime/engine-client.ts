/** An `Engine` whose work is done at the other end of a MessagePort. */
import type { MessagePort } from 'node:worker_threads';
import type {
  Embeddings,
  EmbedOptions,
  Engine,
  EngineStats,
  Generation,
  GenerationRequest,
  ModelDescription,
  Prompt,
  Sessions,
  Tokenization,
} from './api.ts';
import type { LoadProgress } from './create-engine-options.ts';
import {
  type EngineCall,
  type EngineCalls,
  engineGone,
  type FromEngine,
  type Happening,
  type ToEngine,
} from './engine-thread.ts';
import { EngineError, fromErrorRecord } from './errors.ts';
import { EventStream } from './event-stream.ts';

interface Question {
  readonly answer: (value: unknown) => void;
  readonly refuse: (error: EngineError) => void;
}

export interface EngineListeners {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Hears of troubles that fail no request, as long as the engine lives. */
  readonly onWarning?: (message: string) => void;
}

const abortedError = (): EngineError => new EngineError('aborted', 'the request was aborted');

type Ready = Extract<FromEngine, { type: 'ready' }>;

/** Every call there is: a new one that is left out here does not compile. */
const CALLS: { readonly [Target in keyof EngineCalls]: Readonly<Record<keyof EngineCalls[Target], true>> } = {
  sessions: {
    list: true,
    get: true,
    create: true,
    fork: true,
    save: true,
    pin: true,
    unpin: true,
    evict: true,
    delete: true,
    export: true,
    import: true,
    requestCache: true,
  },
  tokenizer: { tokenize: true, detokenize: true, pieces: true, renderPrompt: true },
};

export class EngineClient implements Engine {
  readonly model: ModelDescription;
  readonly adapter: string;
  readonly sessions: Sessions;
  readonly tokenizer: Tokenization;
  readonly #port: MessagePort;
  readonly #onWarning: (message: string) => void;
  /** Questions not yet answered, and the streams of accepted generations, by message id. */
  readonly #questions = new Map<number, Question>();
  readonly #streams = new Map<number, EventStream>();
  #stats: EngineStats;
  #nextId = 0;
  #failure: EngineError | undefined;
  #closing: Promise<void> | undefined;
  #closed: () => void = () => {};

  /** @param ready what the engine said of itself; `connect` waits for it */
  private constructor(port: MessagePort, ready: Ready, onWarning: (message: string) => void) {
    this.#port = port;
    this.#onWarning = onWarning;
    this.model = ready.model;
    this.adapter = ready.adapter;
    this.#stats = ready.stats;
    this.sessions = this.#remote('sessions');
    this.tokenizer = this.#remote('tokenizer');
    port.on('message', (message: FromEngine) => this.#receive(message));
    port.on('close', () => this.fail(engineGone()));
  }

  /**
   * Waits until the engine at the other end has loaded its model.
   * @throws EngineError what the loading failed with; internal when the port closes before
   */
  static connect(
    port: MessagePort,
    { onProgress = () => {}, onWarning = () => {} }: EngineListeners = {},
  ): Promise<EngineClient> {
    return new Promise((resolve, reject) => {
      const onClose = (): void => reject(engineGone());
      const onMessage = (message: FromEngine): void => {
        if (message.type === 'warning') onWarning(message.message);
        if (message.type === 'progress') onProgress(message.progress);
        if (message.type === 'warning' || message.type === 'progress') return;
        port.off('message', onMessage);
        port.off('close', onClose);
        if (message.type === 'ready') resolve(new EngineClient(port, message, onWarning));
        else reject(message.type === 'unavailable' ? fromErrorRecord(message.error) : engineGone());
      };
      port.on('close', onClose);
      port.on('message', onMessage);
    });
  }

  async generate(request: GenerationRequest, signal: AbortSignal): Promise<Generation> {
    if (signal.aborted) throw abortedError();
    const id = this.#nextId++;
    const abort = (): void => {
      this.#post({ type: 'abort', id });
      this.#questions.get(id)?.refuse(abortedError());
      this.#streams.get(id)?.fail(abortedError());
      this.#questions.delete(id);
      this.#streams.delete(id);
    };
    const events = new EventStream({ onLeave: abort, onEnd: () => signal.removeEventListener('abort', abort) });
    signal.addEventListener('abort', abort, { once: true });
    // Before the answer comes: events may follow it in the same turn of the event loop.
    this.#streams.set(id, events);
    try {
      return { ...(await this.#ask<Omit<Generation, 'events'>>(id, { type: 'generate', id, request })), events };
    } catch (error) {
      this.#streams.delete(id);
      events.end();
      throw error;
    }
  }

  async embed(prompts: readonly Prompt[], { signal, ...options }: EmbedOptions): Promise<Embeddings> {
    if (signal.aborted) throw abortedError();
    const id = this.#nextId++;
    const abort = (): void => {
      this.#post({ type: 'abort', id });
      this.#questions.get(id)?.refuse(abortedError());
      this.#questions.delete(id);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#ask<Embeddings>(id, { type: 'embed', id, prompts, options });
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  countTokens(prompt: Prompt): Promise<number> {
    const id = this.#nextId++;
    return this.#ask(id, { type: 'count', id, prompt });
  }

  stats(): EngineStats {
    return this.#stats;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#failure) return resolve();
      this.#closed = resolve;
      this.#post({ type: 'close' });
    });
    return this.#closing;
  }

  /** Fails everything that is asked for, now and later: the other end is gone. */
  fail(error: EngineError): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { refuse } of this.#questions.values()) refuse(error);
    for (const stream of this.#streams.values()) stream.fail(error);
    this.#questions.clear();
    this.#streams.clear();
    this.#closed();
  }

  /** A part of the engine whose calls are made at the other end. */
  #remote<Target extends keyof EngineCalls>(target: Target): EngineCalls[Target] {
    const calls = Object.keys(CALLS[target]).map((name) => [
      name,
      (...parameters: unknown[]) => this.#call({ target, name, parameters }),
    ]);
    return Object.fromEntries(calls) as EngineCalls[Target];
  }

  #call(call: EngineCall): Promise<unknown> {
    const id = this.#nextId++;
    return this.#ask(id, { type: 'call', id, ...call });
  }

  #ask<Value>(id: number, message: ToEngine): Promise<Value> {
    return new Promise((resolve, refuse) => {
      const answer = (value: unknown): void => resolve(value as Value);
      if (this.#failure) return refuse(this.#failure);
      // Posted first: what cannot be cloned throws here and leaves nothing behind.
      this.#post(message);
      this.#questions.set(id, { answer, refuse });
    });
  }

  #post(message: ToEngine): void {
    this.#port.postMessage(message);
  }

  #receive(message: FromEngine): void {
    switch (message.type) {
      case 'accepted':
        this.#questions.get(message.id)?.answer(message.generation);
        this.#questions.delete(message.id);
        break;
      case 'returned':
        this.#questions.get(message.id)?.answer(message.value);
        this.#questions.delete(message.id);
        break;
      case 'refused':
        this.#questions.get(message.id)?.refuse(fromErrorRecord(message.error));
        this.#questions.delete(message.id);
        break;
      case 'happened':
        this.#stats = message.stats;
        for (const happening of message.happenings) this.#deliver(happening);
        break;
      case 'warning':
        this.#onWarning(message.message);
        break;
      case 'closed':
        this.fail(new EngineError('shutting_down', 'the engine is closed'));
        break;
    }
  }

  #deliver(happening: Happening): void {
    const stream = this.#streams.get(happening.id);
    if ('event' in happening) {
      stream?.push(happening.event);
      return;
    }
    this.#streams.delete(happening.id);
    if (happening.end === 'done') stream?.end();
    else stream?.fail(fromErrorRecord(happening.end));
  }
}
