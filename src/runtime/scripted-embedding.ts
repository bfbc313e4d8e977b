/** Embeddings from a scripted model: equal for equal texts, near where texts share their bytes, and of no meaning. */

/** Elements. */
export const SCRIPTED_EMBEDDING_SIZE = 64;

/** [segments · size] sums of the states of each segment's tokens; segments are pairs of first token and count. */
export const scriptedSums = (tokenIds: Uint32Array, segments: Uint32Array): Float32Array => {
  const size = SCRIPTED_EMBEDDING_SIZE;
  const sums = new Float32Array((segments.length / 2) * size);
  for (let segment = 0; segment < segments.length / 2; segment++) {
    const first = segments[2 * segment]!;
    for (const id of tokenIds.subarray(first, first + segments[2 * segment + 1]!)) {
      for (let i = 0; i < size; i++) sums[segment * size + i]! += stateOf(id * size + i);
    }
  }
  return sums;
};

/** Uniform in [−1, 1), always the same. Source: mulberry32. */
const stateOf = (seed: number): number => {
  let bits = (seed + 0x6d2b79f5) | 0;
  bits = Math.imul(bits ^ (bits >>> 15), 1 | bits);
  bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1;
};
