/** Uniform numbers below 1. */
export type RandomNumber = () => number;

/** A repeatable generator. Source: mulberry32. */
export const seededNumbers = (seed: number): RandomNumber => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
