/** What sessions ask of the KV cache. A chain is the KV of a sequence's tokens from the first one on. */
import type { CacheTier, PerTier } from '../api.ts';

export interface ChainLocation {
  /** Leading tokens whose KV each tier has without a hole; the tiers overlap. */
  readonly tokensByTier: PerTier;
  /** Bytes that the chain's blocks take in each tier. */
  readonly bytesByTier: PerTier;
  /** Leading tokens whose KV outlives this process. */
  readonly savedTokens: number;
}

/** One layer group's part of a block, as a tier keeps it. */
export interface ChainBlock {
  /** Index of its first token in the chain. */
  readonly firstToken: number;
  /** Fewer than the block size in the last block. */
  readonly numTokens: number;
  readonly group: number;
  readonly bytes: Uint8Array;
}

export interface Eviction {
  readonly tiers: readonly CacheTier[];
  /** Leading tokens whose blocks stay: others need them. */
  readonly keepTokens: number;
}

/**
 * Chains are named by their token ids. A session passes the same array again and again and never changes one, so an
 * implementation may keep what it has found out about it in a WeakMap.
 */
export interface KvChains {
  /** False: nothing outlives this process, `save` can do nothing. */
  readonly isDurable: boolean;
  locate(tokenIds: Uint32Array): ChainLocation;
  /** Evicts these blocks after all that are not pinned. Pins count: `unpin` ends one, with the same array. */
  pin(tokenIds: Uint32Array): void;
  unpin(tokenIds: Uint32Array): void;
  /** Its session is expected to go on: below the pool its blocks stay longer than others'. */
  enliven(tokenIds: Uint32Array): void;
  /** Its session is over. @param keepTokens leading tokens that others' sessions have too */
  retire(tokenIds: Uint32Array, keepTokens: number): void;
  /** Writes what is not on disk yet. @returns the chain's `savedTokens` once they are durable @throws EngineError disk_full */
  save(tokenIds: Uint32Array): Promise<number>;
  /** Takes unreferenced blocks out of the tiers. */
  evict(tokenIds: Uint32Array, eviction: Eviction): Promise<void>;
  /** Every block that a continuation of the chain needs, copied; fewer where some are gone. */
  exportBlocks(tokenIds: Uint32Array): Promise<readonly ChainBlock[]>;
  /** @returns leading tokens whose KV is there now @throws EngineError invalid_request for blocks of another size */
  importBlocks(tokenIds: Uint32Array, blocks: readonly ChainBlock[]): Promise<number>;
}

const NOWHERE: ChainLocation = Object.freeze({
  tokensByTier: { pool: 0, ram: 0, disk: 0 },
  bytesByTier: { pool: 0, ram: 0, disk: 0 },
  savedTokens: 0,
});

/** Of a KV cache that is not asked by chains: sessions are known, and their KV is found by content alone. */
export const NO_CHAINS: KvChains = Object.freeze({
  isDurable: false,
  locate: () => NOWHERE,
  pin: () => {},
  unpin: () => {},
  enliven: () => {},
  retire: () => {},
  save: async () => 0,
  evict: async () => {},
  exportBlocks: async () => [],
  importBlocks: async () => 0,
});
