/** How many KV blocks layers with an attention window hold, and which. Pure arithmetic over positions. */
import type { KvGeometry, KvGroup } from '../model-runner.ts';

/** Index of the first block that a query at position `numComputed` or later can see. */
export const firstLiveBlock = ({ window }: KvGroup, numComputed: number, blockSize: number): number =>
  window === undefined ? 0 : Math.floor(Math.max(0, numComputed + 1 - window) / blockSize);

/** Blocks that must lie before the end of a prefix so that the next query finds all it sees; Infinity: every one. */
export const blocksBeforeHit = ({ window }: KvGroup, blockSize: number): number =>
  window === undefined ? Number.POSITIVE_INFINITY : Math.ceil((window - 1) / blockSize);

/** Most blocks of a group that a sequence of up to `numTokens` holds at once, computed `maxChunk` tokens a step. */
export const maxBlocks = ({ window }: KvGroup, numTokens: number, maxChunk: number, blockSize: number): number => {
  const whole = Math.ceil(numTokens / blockSize);
  if (window === undefined) return whole;
  return Math.min(whole, Math.ceil((window + Math.min(maxChunk, numTokens) - 2) / blockSize) + 1);
};

/** Most blocks that a sequence of up to `numTokens` holds at once over all groups. */
export const blocksPerSequence = (
  { groups, blockSize }: Pick<KvGeometry, 'groups' | 'blockSize'>,
  numTokens: number,
  maxChunk: number,
): number => groups.reduce((sum, group) => sum + maxBlocks(group, numTokens, maxChunk, blockSize), 0);

/** The longest sequence of at most `limit` tokens whose blocks the pool can hold. */
export const maxSequenceTokens = (
  kv: Pick<KvGeometry, 'groups' | 'blockSize' | 'numBlocks'>,
  maxChunk: number,
  limit: number,
): number => {
  let fits = 0;
  let tooLong = limit + 1;
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (blocksPerSequence(kv, middle, maxChunk) <= kv.numBlocks) fits = middle;
    else tooLong = middle;
  }
  return fits;
};
