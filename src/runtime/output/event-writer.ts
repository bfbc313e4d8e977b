/** Collects what an answer says, and holds back what may still be a stop string or the white space around a call. */
import type { ChosenLogprob, GenerationEvent } from '../api.ts';
import { withoutMarks } from './control-marks.ts';
import { StopMatcher } from './stop-matcher.ts';

export type AnswerEvent = Exclude<GenerationEvent, { type: 'start' | 'finish' }>;

export interface EventWriterOptions {
  /** Looked for in text alone. */
  readonly stop: readonly string[];
  /** White space beside tool calls is dropped, so white space must wait for what follows it. */
  readonly mayCall: boolean;
}

export class EventWriter {
  readonly #stops: StopMatcher;
  readonly #mayCall: boolean;
  #events: AnswerEvent[] = [];
  #logprobs: ChosenLogprob[] = [];
  #stopSequence: string | undefined;
  #space = '';
  #hasText = false;
  #hasCalls = false;
  /** Reasoning was the last to be said: log-probabilities without text are its own. */
  #isReasoning = false;

  constructor({ stop, mayCall }: EventWriterOptions) {
    this.#stops = new StopMatcher(stop);
    this.#mayCall = mayCall;
  }

  /** The stop string that was met; nothing is said after it. */
  get stopSequence(): string | undefined {
    return this.#stopSequence;
  }

  /** Of the next token: said with the next text. */
  logprob(logprob: ChosenLogprob): void {
    this.#logprobs.push(logprob);
  }

  reasoning(text: string): void {
    this.#isReasoning = true;
    this.#say('reasoning', withoutMarks(text));
  }

  text(text: string): void {
    if (this.#stopSequence !== undefined) return;
    this.#isReasoning = false;
    const found = this.#stops.push(withoutMarks(text));
    this.#settle(found.text);
    if (found.stop === undefined) return;
    this.#stopSequence = found.stop;
    this.#releaseSpace();
  }

  /** Anything but text and reasoning. A stop string does not reach across a call. */
  other(event: Exclude<AnswerEvent, { type: 'text' | 'reasoning' }>): void {
    if (this.#stopSequence !== undefined) return;
    if (event.type === 'tool_call_start') {
      this.#settle(this.#stops.flush());
      if (!this.#hasText) this.#space = '';
      this.#hasCalls = true;
    }
    // Log-probabilities of a call's tokens are not the text's.
    if (event.type !== 'warning') this.dropLogprobs();
    this.#events.push(event);
  }

  /** The answer is over. */
  flush(): void {
    if (this.#stopSequence !== undefined) return;
    this.#settle(this.#stops.flush());
    if (this.#hasCalls) this.#space = '';
    else this.#releaseSpace();
    if (this.#hasCalls) this.dropLogprobs();
    this.giveLogprobsTo(this.#isReasoning ? 'reasoning' : 'text');
  }

  /** Log-probabilities of tokens whose text is said nowhere. */
  giveLogprobsTo(type: 'text' | 'reasoning'): void {
    if (this.#logprobs.length === 0) return;
    this.#events.push({ type, text: '', logprobs: this.#logprobs });
    this.#logprobs = [];
  }

  /** Those of tokens that are no text. */
  dropLogprobs(): void {
    this.#logprobs = [];
  }

  take(): AnswerEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** Text that no stop string begins in. */
  #settle(text: string): void {
    if (text === '') return;
    const said = this.#mayCall ? text.trimEnd() : text;
    // However long the white space grows, nobody looks through it again.
    if (said !== '') this.#releaseSpace(said);
    this.#space += text.slice(said.length);
  }

  /** @param more what follows it */
  #releaseSpace(more = ''): void {
    this.#say('text', this.#space + more);
    this.#space = '';
  }

  #say(type: 'text' | 'reasoning', text: string): void {
    if (text === '' || (this.#stopSequence !== undefined && type === 'reasoning')) return;
    if (type === 'text') this.#hasText = true;
    const last = this.#events.at(-1);
    const logprobs = this.#logprobs;
    this.#logprobs = [];
    if (last?.type === type && logprobs.length === 0) {
      this.#events[this.#events.length - 1] = { ...last, text: last.text + text };
    } else this.#events.push(logprobs.length > 0 ? { type, text, logprobs } : { type, text });
  }
}
