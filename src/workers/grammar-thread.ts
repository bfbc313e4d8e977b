/** The door to one thread that follows answers through their grammars. */
import { EngineError, fromErrorRecord } from '../runtime/errors.ts';
import type { Allowed, AllowedTokens } from './grammar/answer-format.ts';
import { runTask, type TaskResult, type Threads, unwrap } from './task.ts';
import type { GrammarAnswer, GrammarStep, OpenGrammar } from './worker.ts';

interface Waiting {
  readonly step: GrammarStep;
  readonly resolve: (answer: GrammarAnswer) => void;
  readonly reject: (error: unknown) => void;
}

export class GrammarThread {
  readonly #thread: Threads;
  readonly #maxCompileMs: number;
  #hasEnded = false;
  /** Answers that it follows or is about to. */
  readonly #answers = new Set<number>();
  /** Keys of formats that were compiled here, and of those that are being compiled, a call each. */
  readonly #compiled = new Set<string>();
  readonly #compiling: string[] = [];
  /** Steps of this turn of the loop: they go in one message. */
  #waiting: Waiting[] = [];

  /** @param maxCompileMs a format that takes longer ends the thread: nothing else stops it */
  constructor(thread: Threads, maxCompileMs: number) {
    this.#thread = thread;
    this.#maxCompileMs = maxCompileMs;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get numAnswers(): number {
    return this.#answers.size;
  }

  get isCompiling(): boolean {
    return this.#compiling.length > 0;
  }

  /** Whether a format would be no work here, or is what is being worked on. */
  knows(format: string): boolean {
    if (this.isCompiling) return this.#compiling.every((each) => each === format);
    return this.#compiled.has(format);
  }

  /**
   * @param format the format's key
   * @throws EngineError invalid_request: the format cannot be compiled, or takes too long; internal
   */
  async open(opening: OpenGrammar, format: string): Promise<Allowed> {
    this.#answers.add(opening.id);
    if (!this.#compiled.has(format)) this.#compiling.push(format);
    try {
      // The library takes some tenths of a second to load, which no format is to blame for.
      unwrap(await runTask<unknown>(this.#thread, 'openGrammar', null));
      const opened = runTask<Allowed>(this.#thread, 'openGrammar', opening);
      opened.catch(() => {});
      const allowed = unwrap(await this.#inTime(opened));
      this.#compiled.add(format);
      return allowed;
    } catch (error) {
      this.#answers.delete(opening.id);
      throw error;
    } finally {
      const index = this.#compiling.indexOf(format);
      if (index >= 0) this.#compiling.splice(index, 1);
    }
  }

  /** What may follow these tokens, which were chosen. @throws EngineError internal */
  advance(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    return this.#step({ kind: 'advance', id, tokenIds }) as Promise<Allowed>;
  }

  /** Which of these tokens may come next. @throws EngineError internal */
  among(id: number, tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>> {
    return this.#step({ kind: 'among', id, tokenIds }) as Promise<ReadonlySet<number>>;
  }

  /** Which of all tokens may come next, however long it takes. @throws EngineError internal */
  tokens(id: number): Promise<AllowedTokens> {
    return this.#step({ kind: 'tokens', id }) as Promise<AllowedTokens>;
  }

  close(id: number): void {
    this.#answers.delete(id);
    // A thread that died has forgotten it already.
    this.#thread.run(id, { name: 'closeGrammar' }).catch(() => {});
  }

  /** Ends the thread; answers in flight fail. */
  async destroy(): Promise<void> {
    this.#hasEnded = true;
    await this.#thread.destroy();
  }

  async #inTime<Value>(task: Promise<Value>): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        void this.destroy();
        const message = `the format of the answer takes more than ${this.#maxCompileMs / 1000} s to compile: make its schema, grammar or expression smaller`;
        reject(new EngineError('invalid_request', message));
      }, this.#maxCompileMs);
    });
    try {
      return await Promise.race([task, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #step(step: GrammarStep): Promise<GrammarAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ step, resolve, reject });
      if (this.#waiting.length === 1) queueMicrotask(() => void this.#send());
    });
  }

  async #send(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    try {
      const steps = waiting.map(({ step }) => step);
      const results = unwrap(await runTask<TaskResult<GrammarAnswer>[]>(this.#thread, 'stepGrammars', steps));
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
