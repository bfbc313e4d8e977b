/** Server-sent events out of pieces of text. Source: WHATWG HTML §9.2.6. */

export interface SseEvent {
  /** Empty where the stream has none. */
  readonly id: string;
  readonly data: string;
}

export class SseParser {
  #rest = '';
  #id = '';
  #data: string[] = [];

  /** The events that end within this piece. */
  push(text: string): readonly SseEvent[] {
    // A CR at the end may be the first half of a line's end.
    const whole = this.#rest + text;
    const lines = whole.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    const events: SseEvent[] = [];
    for (const line of lines) {
      if (line !== '') this.#field(line);
      else if (this.#data.length > 0) {
        events.push({ id: this.#id, data: this.#data.join('\n') });
        this.#data = [];
      }
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
  }
}
