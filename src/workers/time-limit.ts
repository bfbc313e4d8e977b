/** Ends work that this thread could not end by itself: code of a model file that loops. */
import { createContext, Script } from 'node:vm';

const context = createContext({ work: undefined as (() => unknown) | undefined });
const call = new Script('work()');

/**
 * Runs synchronous work, all of it in this realm, and interrupts it wherever it is after `limitMs`.
 * @throws what `work` throws; what `onLimit` makes when the time is over
 */
export const withTimeLimit = <Value>(work: () => Value, limitMs: number, onLimit: () => Error): Value => {
  let result: { value: Value } | { error: unknown } | undefined;
  context.work = () => {
    try {
      result = { value: work() };
    } catch (error) {
      result = { error };
    }
  };
  try {
    call.runInContext(context, { timeout: limitMs });
  } catch (error) {
    // Of work's own errors none comes out here. The interruption is an object of the context: no instance of our Error.
    if (Object(error).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw onLimit();
    throw error;
  }
  if (result === undefined) throw new Error('the work did not run');
  if ('error' in result) throw result.error;
  return result.value;
};
