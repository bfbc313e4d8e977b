/** What a client sends in its next turn begins with its last one, as the model reads it. */
import { expect } from 'vitest';

const BLOCK_TOKENS = 16;

/** Every turn finds all of the one before in the cache, save perhaps its last block. */
export const expectCachedTurns = (log: readonly Readonly<Record<string, unknown>>[]): void => {
  const turns = log.flatMap(({ promptTokens, cachedTokens }) =>
    typeof promptTokens === 'number' && typeof cachedTokens === 'number' ? [{ promptTokens, cachedTokens }] : [],
  );
  expect(turns.length).toBeGreaterThan(1);
  for (const [index, { cachedTokens }] of turns.slice(1).entries())
    expect(cachedTokens).toBeGreaterThanOrEqual(turns[index]!.promptTokens - BLOCK_TOKENS);
};
