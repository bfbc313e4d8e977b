/** What one agent has been told and has said: a log that only grows, so each prompt begins with the last and its KV fits. */
import type { ChatMessage, ChatPrompt } from '../../runtime/api.ts';

type Entry =
  | { readonly kind: 'heard'; readonly text: string }
  | { readonly kind: 'said'; readonly text: string; readonly reasoning: string };

/** What an agent said, and what it had been asked. */
export interface Said {
  readonly cue: string | undefined;
  readonly text: string;
  readonly reasoning: string;
}

/** Templates want a user's message before each of the assistant's: this one, when nobody has said anything. */
const YOUR_TURN = 'It is your turn to speak.';

export class AgentView {
  readonly #system: string;
  readonly #entries: Entry[] = [];

  /** @param system the system prompt; empty for none */
  constructor(system: string) {
    this.#system = system;
  }

  hear(text: string): void {
    this.#entries.push({ kind: 'heard', text });
  }

  /** What has to be put to the agent now, for its eyes only: `question`, or a word that it is its turn if nothing else is new. */
  cueFor(question?: string): string | undefined {
    return question ?? (this.#entries.at(-1)?.kind === 'heard' ? undefined : YOUR_TURN);
  }

  /** Nothing of a prompt stays until what came of it is recorded. `cue`: as the prompt was made with. */
  record({ cue, text, reasoning }: Said): void {
    if (cue !== undefined) this.hear(cue);
    this.#entries.push({ kind: 'said', text, reasoning });
  }

  /** What the agent is to answer. What it heard between two answers of its own is one user message. */
  prompt(cue: string | undefined): ChatPrompt {
    const entries: readonly Entry[] =
      cue === undefined ? this.#entries : [...this.#entries, { kind: 'heard', text: cue }];
    const messages: ChatMessage[] = this.#system === '' ? [] : [{ role: 'system', content: this.#system }];
    let heard: string[] = [];
    const flush = (): void => {
      if (heard.length > 0) messages.push({ role: 'user', content: heard.join('\n\n') });
      heard = [];
    };
    for (const entry of entries) {
      if (entry.kind === 'heard') {
        heard.push(entry.text);
        continue;
      }
      flush();
      const { text, reasoning } = entry;
      messages.push({ role: 'assistant', content: text, ...(reasoning === '' ? {} : { reasoning }) });
    }
    flush();
    return { kind: 'chat', messages, continueFinalMessage: false };
  }
}
