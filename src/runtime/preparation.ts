/** Prompts on their way through the worker pool: all that can happen to a request before it has a sequence. */
import type { PreparedPrompt, WorkerPool } from '../workers/pool.ts';
import type { Prompt } from './api.ts';
import { EngineError } from './errors.ts';

export const aborted = (): EngineError => new EngineError('aborted', 'the request was aborted');

export const shuttingDown = (): EngineError => new EngineError('shutting_down', 'the engine is shutting down');

export class Preparation {
  readonly #workers: Pick<WorkerPool, 'prepare'>;
  #numPreparing = 0;
  #isClosed = false;

  constructor(workers: Pick<WorkerPool, 'prepare'>) {
    this.#workers = workers;
  }

  /** Prompts that the pool still has, also those that nobody waits for any more. */
  get numPreparing(): number {
    return this.#numPreparing;
  }

  /** From now on every prompt fails with shutting_down, those in the pool too. */
  close(): void {
    this.#isClosed = true;
  }

  /** @throws EngineError shutting_down, aborted; as `WorkerPool.prepare` */
  async prepare(prompt: Prompt, signal: AbortSignal): Promise<PreparedPrompt> {
    this.refuseWhenOver(signal);
    if (prompt.kind === 'tokens')
      return { tokenIds: Uint32Array.from(prompt.tokenIds), reasoningOpened: false, mayReason: true };
    this.#numPreparing++;
    const preparing = this.tokenize(prompt).finally(() => {
      this.#numPreparing--;
    });
    let stop = (): void => {};
    try {
      const abort = new Promise<never>((_, reject) => {
        stop = () => reject(aborted());
        signal.addEventListener('abort', stop, { once: true });
      });
      return await Promise.race([preparing, abort]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** @throws EngineError shutting_down; as `WorkerPool.prepare` */
  tokenize(prompt: Prompt): Promise<PreparedPrompt> {
    return this.whileOpen(() => this.#workers.prepare(prompt));
  }

  /** Has the pool do something. @throws EngineError shutting_down; what `work` throws */
  async whileOpen<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#isClosed) throw shuttingDown();
    try {
      return await work();
    } catch (error) {
      // Closing ends the worker threads under their tasks.
      throw this.#isClosed ? shuttingDown() : error;
    }
  }

  /** @throws EngineError shutting_down, aborted */
  refuseWhenOver(signal: AbortSignal): void {
    if (this.#isClosed) throw shuttingDown();
    if (signal.aborted) throw aborted();
  }
}
