/** The threads that follow answers through their grammars: they start when answers need them. */
import { createHash } from 'node:crypto';
import { EngineError } from '../runtime/errors.ts';
import type { Allowed, AllowedTokens } from './grammar/answer-format.ts';
import { GrammarThread } from './grammar-thread.ts';
import type { Threads } from './task.ts';
import type { OpenGrammar } from './worker.ts';

/** Each has the vocabulary and its compiled grammars to itself. */
const MAX_THREADS = 3;
/** A format that takes longer to compile is refused. */
const MAX_COMPILE_MS = 20_000;

/**
 * While a thread compiles a format its other answers wait, and one that takes too long takes them with it. So a new
 * format goes to a thread without answers, as long as there can be one.
 */
export class GrammarThreads {
  readonly #start: () => Threads;
  readonly #maxCompileMs: number;
  readonly #threads: GrammarThread[] = [];
  readonly #byAnswer = new Map<number, GrammarThread>();

  /** @param start makes a pool of one thread */
  constructor(start: () => Threads, maxCompileMs = MAX_COMPILE_MS) {
    this.#start = start;
    this.#maxCompileMs = maxCompileMs;
  }

  /** @throws EngineError invalid_request: the format cannot be compiled, or takes too long; internal */
  async open(opening: OpenGrammar): Promise<Allowed> {
    const format = createHash('sha256').update(JSON.stringify(opening.format)).digest('base64');
    const thread = this.#choose(format);
    this.#byAnswer.set(opening.id, thread);
    try {
      return await thread.open(opening, format);
    } catch (error) {
      this.#byAnswer.delete(opening.id);
      throw error;
    }
  }

  /** What may follow these tokens, which were chosen. @throws EngineError internal */
  async advance(id: number, tokenIds: readonly number[]): Promise<Allowed> {
    return this.#of(id).advance(id, tokenIds);
  }

  /** Which of these tokens may come next. @throws EngineError internal */
  async among(id: number, tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>> {
    return this.#of(id).among(id, tokenIds);
  }

  /** Which of all tokens may come next, however long it takes. @throws EngineError internal */
  async tokens(id: number): Promise<AllowedTokens> {
    return this.#of(id).tokens(id);
  }

  close(id: number): void {
    this.#byAnswer.get(id)?.close(id);
    this.#byAnswer.delete(id);
  }

  /** Ends the threads; answers in flight fail. */
  async destroy(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.destroy()));
  }

  #of(id: number): GrammarThread {
    const thread = this.#byAnswer.get(id);
    if (thread === undefined || thread.hasEnded)
      throw new EngineError('internal', 'the thread that followed the grammar of this answer has ended; send it again');
    return thread;
  }

  #choose(format: string): GrammarThread {
    const threads = this.#threads.filter((thread) => !thread.hasEnded);
    const known = threads.find((thread) => thread.knows(format));
    if (known) return known;
    const order = (thread: GrammarThread): number => (thread.isCompiling ? 1_000_000 : 0) + thread.numAnswers;
    const [quietest] = [...threads].sort((a, b) => order(a) - order(b));
    if (quietest !== undefined && (quietest.numAnswers === 0 || threads.length === MAX_THREADS)) return quietest;
    const thread = new GrammarThread(this.#start(), this.#maxCompileMs);
    this.#threads.splice(0, this.#threads.length, ...threads, thread);
    return thread;
  }
}
