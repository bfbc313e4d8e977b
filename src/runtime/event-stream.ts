/** The events of one generation on their way to one reader: the loop pushes and never waits. */
import type { GenerationEvent } from './api.ts';
import type { EngineError } from './errors.ts';

export interface EventStreamOptions {
  /** The reader left before the end. */
  readonly onLeave: () => void;
  /** Called once, however the stream ends. */
  readonly onEnd: () => void;
}

/** Holds at most the events of one answer, which `maxTokens` bounds. */
export class EventStream implements AsyncIterable<GenerationEvent> {
  readonly #waiting: GenerationEvent[] = [];
  readonly #options: EventStreamOptions;
  #end: { readonly error?: EngineError } | undefined;
  #wake: () => void = () => {};

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  push(event: GenerationEvent): void {
    if (this.#end) return;
    this.#waiting.push(event);
    this.#wake();
  }

  /** No more events; the reader gets those that wait first. */
  end(): void {
    this.#close({});
  }

  /** The reader gets the events that wait, then the error. */
  fail(error: EngineError): void {
    this.#close({ error });
  }

  #close(end: { readonly error?: EngineError }): void {
    if (this.#end) return;
    this.#end = end;
    this.#options.onEnd();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationEvent, void, undefined> {
    try {
      for (;;) {
        const event = this.#waiting.shift();
        if (event !== undefined) yield event;
        else if (this.#end?.error) throw this.#end.error;
        else if (this.#end) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      if (!this.#end) this.#options.onLeave();
    }
  }
}
