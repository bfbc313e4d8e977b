/** Turns the text of tokens into events once for all dialects: answer, reasoning, stop strings. */
import type { ChosenLogprob, GenerationEvent } from '../api.ts';
import { overlap, StopMatcher } from './stop-matcher.ts';

/** none: everything is the answer. think: `<think>…</think>` at its start is reasoning. */
export type ReasoningFormat = 'none' | 'think';

export interface OutputFormat {
  readonly reasoning: ReasoningFormat;
  /** The prompt already ends inside a reasoning block. */
  readonly reasoningOpened: boolean;
  /** Looked for in the answer, not in reasoning. */
  readonly stop: readonly string[];
}

type TextEvent = Extract<GenerationEvent, { type: 'text' | 'reasoning' }>;

/** What a model that has thought enough is made to write; undefined where no reasoning is told from the answer. */
export const reasoningClosing = (reasoning: ReasoningFormat): string | undefined =>
  reasoning === 'none' ? undefined : `\n${CLOSING}\n\n`;

const OPENING = '<think>';
const CLOSING = '</think>';

/**
 * Takes one token's text after the other. Each gives its event at once, unless the text may belong to a tag or a
 * stop string; tags and stop strings never come out. The result does not depend on how the text is split.
 */
export class OutputParser {
  readonly #stops: StopMatcher;
  readonly #opened: boolean;
  /** start: an opening tag may come. closed: the white space after a closing tag is dropped. */
  #state: 'start' | 'reasoning' | 'closed' | 'answer';
  #held = '';
  #events: TextEvent[] = [];
  #logprobs: ChosenLogprob[] = [];
  #reasoningTokens = 0;
  #stopSequence: string | undefined;
  #sawReasoning = false;

  constructor({ reasoning, reasoningOpened, stop }: OutputFormat) {
    this.#stops = new StopMatcher(stop);
    this.#opened = reasoning === 'think' && reasoningOpened;
    this.#state = reasoning === 'think' ? 'start' : 'answer';
  }

  /** Whether what comes next is reasoning, as far as is known. */
  get isReasoning(): boolean {
    return this.#state === 'reasoning' || (this.#opened && this.#state === 'start');
  }

  /** Tokens whose text was, wholly or partly, reasoning or one of its tags. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** The stop string that was met; nothing may be pushed after it. */
  get stopSequence(): string | undefined {
    return this.#stopSequence;
  }

  /** @param text the token's text; empty while its bytes are not whole UTF-8 */
  push(text: string, logprob?: ChosenLogprob): TextEvent[] {
    if (logprob) this.#logprobs.push(logprob);
    this.#sawReasoning = this.isReasoning;
    this.#advance(text);
    if (this.#sawReasoning) this.#reasoningTokens++;
    return this.#take();
  }

  /** What was held back, when the answer is over. @param rest text of the last bytes, which belongs to no further token */
  flush(rest = ''): TextEvent[] {
    this.#advance(rest);
    const held = this.#held;
    this.#held = '';
    if (this.#state === 'reasoning' || (this.#state === 'start' && this.#opened)) this.#emit('reasoning', held);
    else if (this.#state !== 'closed') this.#answer(held);
    if (this.#stopSequence === undefined) this.#emit('text', this.#stops.flush());
    if (this.#logprobs.length > 0 && this.#stopSequence === undefined) {
      this.#events.push({
        type: this.#state === 'reasoning' ? 'reasoning' : 'text',
        text: '',
        logprobs: this.#logprobs,
      });
      this.#logprobs = [];
    }
    return this.#take();
  }

  #advance(piece: string): void {
    if (this.#state === 'start') this.#open(this.#held + piece);
    else if (this.#state === 'reasoning') this.#think(this.#held + piece);
    else {
      const text = this.#state === 'closed' ? piece.trimStart() : piece;
      if (text === '') {
        if (this.#state === 'closed') this.#giveLogprobsToReasoning();
        return;
      }
      this.#state = 'answer';
      this.#answer(text);
    }
  }

  #open(text: string): void {
    const trimmed = text.trimStart();
    if (OPENING.startsWith(trimmed) && trimmed !== OPENING) {
      this.#held = text;
      return;
    }
    this.#held = '';
    const isTagged = trimmed.startsWith(OPENING);
    if (isTagged || this.#opened) {
      this.#state = 'reasoning';
      this.#think(isTagged ? trimmed.slice(OPENING.length) : text);
    } else {
      this.#state = 'answer';
      this.#answer(text);
    }
  }

  #think(text: string): void {
    this.#sawReasoning = true;
    const end = text.indexOf(CLOSING);
    if (end < 0) {
      const numHeld = overlap(text, CLOSING);
      this.#held = text.slice(text.length - numHeld);
      this.#emit('reasoning', text.slice(0, text.length - numHeld));
      return;
    }
    this.#held = '';
    this.#emit('reasoning', text.slice(0, end));
    this.#state = 'closed';
    this.#advance(text.slice(end + CLOSING.length));
  }

  /** Those of a closing tag and of the white space behind it must not pass for the answer's. */
  #giveLogprobsToReasoning(): void {
    if (this.#logprobs.length === 0) return;
    this.#events.push({ type: 'reasoning', text: '', logprobs: this.#logprobs });
    this.#logprobs = [];
  }

  #answer(piece: string): void {
    const { text, stop } = this.#stops.push(piece);
    this.#emit('text', text);
    if (stop !== undefined) this.#stopSequence = stop;
  }

  #emit(type: 'text' | 'reasoning', text: string): void {
    if (text === '') return;
    this.#events.push(this.#logprobs.length > 0 ? { type, text, logprobs: this.#logprobs } : { type, text });
    this.#logprobs = [];
  }

  #take(): TextEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
