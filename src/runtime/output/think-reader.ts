/** Tells an answer's reasoning, `<think>…</think>` at its beginning, from the rest. */
import { overlap } from './stop-matcher.ts';

const OPENING = '<think>';
const CLOSING = '</think>';

/** What ends reasoning. */
export const THINK_CLOSING = `\n${CLOSING}\n\n`;

export interface ThinkSink {
  reasoning(text: string): void;
  answer(text: string): void;
}

/** The result does not depend on how the text is split. */
export class ThinkReader {
  readonly #sink: ThinkSink;
  readonly #opened: boolean;
  /** start: an opening tag may come. closed: the white space after a closing tag is dropped. */
  #state: 'start' | 'reasoning' | 'closed' | 'answer' = 'start';
  /** White space before all else. */
  #space = '';
  /** What may be the beginning of a tag. */
  #held = '';
  #sawReasoning = false;

  /** @param opened the prompt already ends inside a reasoning block */
  constructor(sink: ThinkSink, opened: boolean) {
    this.#sink = sink;
    this.#opened = opened;
  }

  /** What was pushed last was, wholly or partly, reasoning or one of its tags. */
  get sawReasoning(): boolean {
    return this.#sawReasoning;
  }

  /** Whether what comes next is reasoning, as far as is known. */
  get isReasoning(): boolean {
    return this.#state === 'reasoning' || (this.#opened && this.#state === 'start');
  }

  /** Nothing but white space has come since the closing tag. */
  get isBehindTag(): boolean {
    return this.#state === 'closed';
  }

  push(piece: string): void {
    this.#sawReasoning = this.isReasoning;
    this.#advance(piece);
  }

  end(): void {
    const held = this.#space + this.#held;
    this.#space = '';
    this.#held = '';
    if (this.isReasoning) this.#sink.reasoning(held);
    else if (this.#state !== 'closed') this.#sink.answer(held);
  }

  #advance(piece: string): void {
    if (this.#state === 'start') this.#open(piece);
    else if (this.#state === 'reasoning') this.#think(this.#held + piece);
    else {
      const text = this.#state === 'closed' ? piece.trimStart() : piece;
      if (text === '') return;
      this.#state = 'answer';
      this.#sink.answer(text);
    }
  }

  #open(piece: string): void {
    const begun = this.#held === '' ? piece.trimStart() : this.#held + piece;
    if (this.#held === '') this.#space += piece.slice(0, piece.length - begun.length);
    if (OPENING.startsWith(begun) && begun !== OPENING) {
      this.#held = begun;
      return;
    }
    const text = this.#space + begun;
    this.#space = '';
    this.#held = '';
    const isTagged = begun.startsWith(OPENING);
    this.#state = isTagged || this.#opened ? 'reasoning' : 'answer';
    if (this.#state === 'answer') this.#sink.answer(text);
    else this.#think(isTagged ? begun.slice(OPENING.length) : text);
  }

  #think(text: string): void {
    this.#sawReasoning = true;
    const end = text.indexOf(CLOSING);
    if (end < 0) {
      const numHeld = overlap(text, CLOSING);
      this.#held = text.slice(text.length - numHeld);
      this.#sink.reasoning(text.slice(0, text.length - numHeld));
      return;
    }
    this.#held = '';
    this.#sink.reasoning(text.slice(0, end));
    this.#state = 'closed';
    this.#advance(text.slice(end + CLOSING.length));
  }
}
