/** One answer on its way through its grammar: what may follow is worked out while the device computes the next step. */
import type { Allowed, AllowedTokens, AnswerFormat, WorkerPool } from '../workers/pool.ts';

export type GrammarWorkers = Pick<
  WorkerPool,
  'openGrammar' | 'advanceGrammar' | 'allowedAmong' | 'allowedTokens' | 'closeGrammar'
>;

export interface ConstraintOptions {
  /** Unique among the answers in progress. */
  readonly id: number;
  readonly format: AnswerFormat;
  /** Text without a choice needs no step of its own. */
  readonly jumps: boolean;
}

export class Constraint {
  readonly #workers: GrammarWorkers;
  readonly #id: number;
  #next: Promise<Allowed>;

  private constructor(workers: GrammarWorkers, id: number, first: Allowed) {
    this.#workers = workers;
    this.#id = id;
    this.#next = Promise.resolve(first);
  }

  /** @throws EngineError invalid_request: the format cannot be compiled */
  static async open(workers: GrammarWorkers, options: ConstraintOptions): Promise<Constraint> {
    return new Constraint(workers, options.id, await workers.openGrammar(options));
  }

  /** What may come next. @throws EngineError internal */
  get next(): Promise<Allowed> {
    return this.#next;
  }

  /** Which of these tokens may come next, where `next` does not say. @throws EngineError internal */
  among(tokenIds: ArrayLike<number>): Promise<ReadonlySet<number>> {
    return this.#workers.allowedAmong(this.#id, tokenIds);
  }

  /** Which of all tokens may come next, where `next` does not say: it may take long. @throws EngineError internal */
  tokens(): Promise<AllowedTokens> {
    return this.#workers.allowedTokens(this.#id);
  }

  /** Tokens that `next` did not force were chosen. */
  accept(tokenIds: readonly number[]): void {
    this.#follow(this.#workers.advanceGrammar(this.#id, tokenIds));
  }

  /** The tokens that `next` forced were taken: what it says of the rest now holds. */
  acceptForced(): void {
    this.#follow(this.#next.then(({ forced: _, ...rest }) => rest));
  }

  close(): void {
    this.#workers.closeGrammar(this.#id);
  }

  #follow(next: Promise<Allowed>): void {
    // Whoever samples next hears of a failure; nobody does when the answer ends before.
    next.catch(() => {});
    this.#next = next;
  }
}
