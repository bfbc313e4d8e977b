/** What crosses between the pool and its threads. Errors travel as records: a thrown one would lose its class and code. */
import { EngineError, type ErrorRecord, fromErrorRecord, toErrorRecord } from '../runtime/errors.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';

/** What every thread gets when it starts. */
export interface ThreadSetup {
  readonly definition: TokenizerDefinition;
  readonly vocabularySize: number;
  /** Texts of control tokens that formats of answers are made of. */
  readonly markers: readonly string[];
}

export type TaskResult<Value> = { readonly value: Value } | { readonly error: ErrorRecord };

/** As `asResult`, for tasks that wait. */
export const asAsyncResult = async <Value>(task: () => Promise<Value>): Promise<TaskResult<Value>> => {
  try {
    return { value: await task() };
  } catch (error) {
    return { error: toErrorRecord(error) };
  }
};

/** Runs a task so that its failure is a result. */
export const asResult = <Value>(task: () => Value): TaskResult<Value> => {
  try {
    return { value: task() };
  } catch (error) {
    return { error: toErrorRecord(error) };
  }
};

/** What is needed of a Piscina pool. */
export interface Threads {
  run(task: unknown, options: { readonly name: string; readonly transferList?: ArrayBuffer[] }): Promise<unknown>;
  destroy(): Promise<void>;
}

/** @throws EngineError internal when the thread died */
export const runTask = async <Value>(
  threads: Threads,
  name: string,
  task: unknown,
  transferList: ArrayBuffer[] = [],
): Promise<TaskResult<Value>> => {
  try {
    return (await threads.run(task, { name, transferList })) as TaskResult<Value>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError('internal', `a worker thread failed in ${name}: ${reason}`, {}, { cause });
  }
};

/** @throws the task's EngineError */
export const unwrap = <Value>(result: TaskResult<Value>): Value => {
  if ('error' in result) throw fromErrorRecord(result.error);
  return result.value;
};
