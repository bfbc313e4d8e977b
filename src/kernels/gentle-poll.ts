/** Waits for the device without taking a processor from it. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A fraction of a decode step, and many times what a turn of the event loop costs. */
const SLEEP_MS = 0.2;

const sleepCell = new Int32Array(new SharedArrayBuffer(4));
let numWaiting = 0;
let isPolling = false;

/**
 * Settles as `promise`, one of Dawn's. While any of those is pending, Dawn's binding turns the event loop without a pause:
 * a whole core, which a software adapter needs for its kernels, and whose absence makes the others wait at each of them.
 * Here the thread sleeps between the turns; its other events wait up to SLEEP_MS.
 */
export const gentlePoll = async <Result>(promise: Promise<Result>): Promise<Result> => {
  numWaiting++;
  if (!isPolling) void sleepBetweenTurns();
  try {
    return await promise;
  } finally {
    numWaiting--;
  }
};

const sleepBetweenTurns = async (): Promise<void> => {
  isPolling = true;
  while (numWaiting > 0) {
    Atomics.wait(sleepCell, 0, 0, SLEEP_MS);
    await nextTurn();
  }
  isPolling = false;
};
