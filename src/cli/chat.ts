/** `firstlight chat`: a conversation in the terminal, the engine in this process. */
import { randomUUID } from 'node:crypto';
import { createInterface, type Interface } from 'node:readline';
import type { ChatMessage, Engine, ReasoningEffort } from '../runtime/api.ts';
import type { Config } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../runtime/sampling.ts';
import { loadEngine } from './load-engine.ts';

export interface ChatCommand {
  readonly system: string | undefined;
  readonly temperature: number;
  readonly maxTokens: number | undefined;
  /** off: no thinking; absent: what the model's template does by itself. */
  readonly thinking: 'off' | ReasoningEffort | undefined;
}

const DIM = '\x1b[2m';
const RESET = '\x1b[0m';
const HELP = 'Type a message. /reset forgets the conversation, /exit leaves, Ctrl-C stops an answer.';

/**
 * Reads one user turn a line from stdin and streams each answer to stdout, until /exit or the end of the input.
 * @throws EngineError as `startEngineThread`; not_supported when the model has no chat template. With piped input also
 * what a turn failed with; in a terminal that is shown and the conversation goes on.
 */
export const runChat = async (config: Config, command: ChatCommand): Promise<void> => {
  // What is said in a terminal is not kept on disk.
  const engine = await loadEngine({ ...config, kvDisk: 0 });
  try {
    if (!engine.model.hasChatTemplate) {
      throw new EngineError(
        'not_supported',
        engine.model.generates
          ? `${engine.model.id} has no chat template; serve it and use /v1/completions`
          : `${engine.model.id} makes embeddings and no text; serve it and use /v1/embeddings`,
      );
    }
    await new Conversation(engine, command).run();
  } finally {
    await engine.close();
  }
};

class Conversation {
  readonly #engine: Engine;
  readonly #command: ChatCommand;
  readonly #isTerminal = process.stdin.isTTY === true;
  #messages: ChatMessage[] = [];
  #answer: AbortController | undefined;

  constructor(engine: Engine, command: ChatCommand) {
    this.#engine = engine;
    this.#command = command;
    this.#reset();
  }

  async run(): Promise<void> {
    const lines = createInterface({
      input: process.stdin,
      ...(this.#isTerminal ? { output: process.stdout, prompt: '> ' } : {}),
    });
    lines.on('SIGINT', () => this.#interrupt(lines));
    if (this.#isTerminal) {
      console.error(`${this.#engine.model.id} on ${this.#engine.adapter}. ${HELP}`);
      lines.prompt();
    }
    for await (const line of lines) {
      const text = line.trim();
      if (text === '/exit' || text === '/quit') break;
      if (text === '/help') console.error(HELP);
      else if (text === '/reset') this.#reset();
      else if (text !== '') await this.#turn(text);
      if (this.#isTerminal) lines.prompt();
    }
    lines.close();
  }

  #reset(): void {
    const { system } = this.#command;
    this.#messages = system === undefined ? [] : [{ role: 'system', content: system }];
  }

  #interrupt(lines: Interface): void {
    if (this.#answer) this.#answer.abort();
    else lines.close();
  }

  async #turn(text: string): Promise<void> {
    this.#messages.push({ role: 'user', content: text });
    this.#answer = new AbortController();
    const said = { text: '' };
    try {
      await this.#stream(this.#answer.signal, said);
    } catch (error) {
      const wasStopped = error instanceof EngineError && error.code === 'aborted';
      if (!wasStopped && !this.#isTerminal) throw error;
      if (!wasStopped) console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#answer = undefined;
      process.stdout.write('\n');
    }
    // A turn without an answer would leave two user messages in a row, which many templates refuse.
    if (said.text === '') this.#messages.pop();
    else this.#messages.push({ role: 'assistant', content: said.text });
  }

  async #stream(signal: AbortSignal, said: { text: string }): Promise<void> {
    const { temperature, maxTokens, thinking } = this.#command;
    const generation = await this.#engine.generate(
      {
        id: `chat-${randomUUID()}`,
        prompt: {
          kind: 'chat',
          messages: this.#messages,
          continueFinalMessage: false,
          ...(thinking === undefined ? {} : { enableThinking: thinking !== 'off' }),
          ...(thinking === undefined || thinking === 'off' ? {} : { reasoningEffort: thinking }),
        },
        stop: [],
        sampling: { ...DEFAULT_SAMPLING, temperature },
        ...(maxTokens === undefined ? {} : { maxTokens }),
      },
      signal,
    );
    for await (const event of generation.events) {
      if (event.type === 'text') {
        said.text += event.text;
        process.stdout.write(event.text);
      } else if (event.type === 'reasoning' && process.stdout.isTTY) {
        process.stdout.write(`${DIM}${event.text}${RESET}`);
      }
    }
  }
}
