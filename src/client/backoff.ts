/** Waiting before another attempt. */

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 4_000;

/** @param attempt 0, 1, 2 …; rejects with the signal's reason when it aborts */
export const backOff = (attempt: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener('abort', leave);
        resolve();
      },
      Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt),
    );
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
