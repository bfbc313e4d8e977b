/** Counter-based random numbers: the n-th number of a seed needs no state, so a sequence's draws depend on nothing else. */

const MULTIPLIERS = [0xd2511f53n, 0xcd9e8d57n] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

type Counter = readonly [number, number, number, number];

/** Philox 4×32-10. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". */
export const philox = (counter: Counter, key: readonly [number, number]): Counter => {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const p0 = MULTIPLIERS[0] * BigInt(a);
    const p1 = MULTIPLIERS[1] * BigInt(c);
    const next: Counter = [
      (Number(p1 >> 32n) ^ b ^ k0) >>> 0,
      Number(p1 & 0xffffffffn),
      (Number(p0 >> 32n) ^ d ^ k1) >>> 0,
      Number(p0 & 0xffffffffn),
    ];
    [a, b, c, d] = next;
    k0 = (k0 + KEY_STEPS[0]) >>> 0;
    k1 = (k1 + KEY_STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
};

/** A number in [0, 1) with 53 random bits: the `index`-th of `seed`, any safe integer. */
export const uniform = (seed: number, index: number): number => {
  const low = seed >>> 0;
  const high = Math.floor(seed / 2 ** 32) >>> 0;
  const [x, y] = philox([index >>> 0, Math.floor(index / 2 ** 32) >>> 0, 0, 0], [low, high]);
  return ((x >>> 5) * 2 ** 26 + (y >>> 6)) / 2 ** 53;
};
