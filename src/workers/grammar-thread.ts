/** The door to the one thread that follows answers through their grammars. It starts when the first answer needs it. */
import { EngineError, fromErrorRecord } from '../runtime/errors.ts';
import type { Allowed } from './grammar/answer-format.ts';
import { runTask, type TaskResult, type Threads, unwrap } from './task.ts';
import type { AdvanceGrammar, OpenGrammar } from './worker.ts';

/** A format that takes longer to compile is refused: meanwhile no other constrained answer goes on. */
const MAX_COMPILE_MS = 20_000;

interface Waiting extends AdvanceGrammar {
  readonly resolve: (allowed: Allowed) => void;
  readonly reject: (error: unknown) => void;
}

export class GrammarThread {
  readonly #start: () => Threads;
  #thread: Threads | undefined;
  /** Steps of this turn of the loop: they go in one message. */
  #waiting: Waiting[] = [];

  /** @param start makes a pool of one thread */
  constructor(start: () => Threads) {
    this.#start = start;
  }

  /** @throws EngineError invalid_request: the format cannot be compiled; timeout; internal */
  async open(opening: OpenGrammar): Promise<Allowed> {
    this.#thread ??= this.#start();
    const thread = this.#thread;
    // The library takes some tenths of a second to load, which no format is to blame for.
    unwrap(await runTask<unknown>(thread, 'openGrammar', null));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#thread = undefined;
        void thread.destroy();
        const message = `the format of the answer takes more than ${MAX_COMPILE_MS / 1000} s to compile: make its schema, grammar or expression smaller`;
        reject(new EngineError('invalid_request', message));
      }, MAX_COMPILE_MS);
    });
    try {
      const opened = runTask<Allowed>(thread, 'openGrammar', opening);
      opened.catch(() => {});
      return unwrap(await Promise.race([opened, late]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** What may follow these tokens. @throws EngineError internal */
  advance(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    return new Promise<Allowed>((resolve, reject) => {
      this.#waiting.push({ id, tokenIds, resolve, reject });
      if (this.#waiting.length === 1) queueMicrotask(() => void this.#send());
    });
  }

  close(id: number): void {
    // A thread that died has forgotten it already.
    this.#thread?.run(id, { name: 'closeGrammar' }).catch(() => {});
  }

  /** Ends the thread; answers in flight fail. */
  async destroy(): Promise<void> {
    await this.#thread?.destroy();
    this.#thread = undefined;
  }

  async #send(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    try {
      if (this.#thread === undefined) throw new EngineError('internal', 'the thread of grammars has ended');
      const steps = waiting.map(({ id, tokenIds }) => ({ id, tokenIds }));
      const results = unwrap(await runTask<TaskResult<Allowed>[]>(this.#thread, 'advanceGrammars', steps));
      for (const [index, { resolve, reject }] of waiting.entries()) {
        const result = results[index]!;
        if ('error' in result) reject(fromErrorRecord(result.error));
        else resolve(result.value);
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
