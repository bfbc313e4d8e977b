/** Chains of KV blocks whose payloads follow from their keys, so that whoever reads one can tell whether it is right. */
import { createHash } from 'node:crypto';
import { childKey, rootKey } from '../../src/runtime/kv/block-key.ts';
import type { StoredBlock } from '../../src/runtime/kv/tiers/tier.ts';

const BLOCK_SIZE = 16;

export const payloadOf = (key: string, numBytes: number): Uint8Array<ArrayBuffer> => {
  const seed = createHash('sha256').update(key).digest();
  const payload = new Uint8Array(numBytes);
  for (let i = 0; i < numBytes; i++) payload[i] = seed[i % 32]! ^ (i >>> 5);
  return payload;
};

/** Blocks of a sequence whose tokens start at `firstToken`; a fresh copy at each call. */
export const chain = (
  numBlocks: number,
  firstToken: number,
  { parent = rootKey('model', 'f16'), payloadBytes = 1024 } = {},
): StoredBlock[] => {
  let above = parent;
  return Array.from({ length: numBlocks }, (_, i) => {
    const tokenIds = Uint32Array.from({ length: BLOCK_SIZE }, (_, j) => firstToken + i * BLOCK_SIZE + j);
    const key = childKey(above, tokenIds);
    const block = { key, parent: above, tokenIds, payload: payloadOf(key, payloadBytes) };
    above = key;
    return block;
  });
};

export const keysOf = (blocks: readonly StoredBlock[]): string[] => blocks.map(({ key }) => key);
