/** Waiting that a signal can end, though what is waited for goes on. */

/** Resolves and rejects as the promise does; rejects with the signal's reason when that comes first. */
export const unlessAborted = <Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> =>
  new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason as Error);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const done = (): void => signal.removeEventListener('abort', leave);
    promise.then(resolve, reject).then(done, done);
  });
