/** Joins the events of a request's generations in the order they are made, and keeps a paused reader cheap. */
import type { ChosenLogprob, Generation, GenerationEvent } from '../runtime/api.ts';
import { EngineError } from '../runtime/errors.ts';

export interface ChoiceEvent {
  /** Which of the request's answers: 0 … n − 1. */
  readonly choice: number;
  readonly event: GenerationEvent;
}

/** Two events as one; undefined where they cannot be. */
const joined = (first: GenerationEvent, second: GenerationEvent): GenerationEvent | undefined => {
  if (first.type === 'tool_call_arguments' && second.type === 'tool_call_arguments' && first.index === second.index)
    return { ...first, text: first.text + second.text };
  const isText = first.type === 'text' || first.type === 'reasoning';
  if (!isText || second.type !== first.type) return undefined;
  const text = first.text + second.text;
  const logprobs: readonly ChosenLogprob[] = [...(first.logprobs ?? []), ...(second.logprobs ?? [])];
  return logprobs.length > 0 ? { type: first.type, text, logprobs } : { type: first.type, text };
};

/**
 * Reads every generation to its end without waiting for the reader, so a slow client never slows the engine. While the
 * reader is paused, text that follows text of the same choice is joined to it, and so are a call's arguments: what waits
 * is at most the answer's text.
 */
export class EventQueue {
  /** True: the reader cannot take events now, join what can be joined. */
  isPaused = false;
  readonly #onEvent: (choiceEvent: ChoiceEvent) => void;
  readonly #waiting: ChoiceEvent[] = [];
  #numOpen: number;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    generations: readonly Generation[],
    signal: AbortSignal,
    onEvent: (choiceEvent: ChoiceEvent) => void = () => {},
  ) {
    this.#onEvent = onEvent;
    this.#numOpen = generations.length;
    const abort = (): void => {
      const { reason } = signal;
      this.#fail(reason instanceof EngineError ? reason : new EngineError('aborted', 'the request was aborted'));
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    generations.forEach((generation, choice) => void this.#read(generation, choice));
  }

  /** Events not yet taken. */
  get numWaiting(): number {
    return this.#waiting.length;
  }

  /**
   * The next event; undefined after the last one of all generations. One call at a time.
   * @throws what a generation failed with, after the events before it
   */
  async next(): Promise<ChoiceEvent | undefined> {
    for (;;) {
      const choiceEvent = this.#waiting.shift();
      if (choiceEvent !== undefined) return choiceEvent;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#numOpen === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #read(generation: Generation, choice: number): Promise<void> {
    try {
      for await (const event of generation.events) {
        if (this.#failure !== undefined) return;
        this.#push({ choice, event });
      }
      this.#numOpen--;
      this.#wake?.();
    } catch (error) {
      this.#fail(error);
    }
  }

  #push(choiceEvent: ChoiceEvent): void {
    this.#onEvent(choiceEvent);
    if (!(this.isPaused && this.#join(choiceEvent))) this.#waiting.push(choiceEvent);
    this.#wake?.();
  }

  #join({ choice, event }: ChoiceEvent): boolean {
    const index = this.#waiting.findLastIndex((waiting) => waiting.choice === choice);
    const last = this.#waiting[index]?.event;
    const both = last && joined(last, event);
    if (both === undefined) return false;
    this.#waiting[index] = { choice, event: both };
    return true;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }
}
