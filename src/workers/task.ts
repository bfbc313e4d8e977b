/** What crosses between the pool and its threads. Errors travel as records: a thrown one would lose its class and code. */
import { type ErrorRecord, toErrorRecord } from '../runtime/errors.ts';
import type { TokenizerDefinition } from './tokenizer/definition.ts';

/** What every thread gets when it starts. */
export interface ThreadSetup {
  readonly definition: TokenizerDefinition;
  readonly vocabularySize: number;
}

export type TaskResult<Value> = { readonly value: Value } | { readonly error: ErrorRecord };

/** Runs a task so that its failure is a result. */
export const asResult = <Value>(task: () => Value): TaskResult<Value> => {
  try {
    return { value: task() };
  } catch (error) {
    return { error: toErrorRecord(error) };
  }
};
