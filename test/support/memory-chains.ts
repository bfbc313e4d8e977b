/** KV chains whose blocks are plain entries in a map: what a cache must do for sessions, and nothing else. */
import type { CacheTier } from '../../src/runtime/api.ts';
import type { ChainBlock, ChainLocation, Eviction, KvChains } from '../../src/runtime/sessions/kv-chains.ts';

const BLOCK_SIZE = 4;
const BLOCK_BYTES = 8;

export class MemoryChains implements KvChains {
  readonly isDurable = true;
  /** By the tokens up to the block's end: the tiers that have it. */
  readonly blocks = new Map<string, Set<CacheTier>>();
  readonly pinned: Uint32Array[] = [];

  /** As if a request had just computed these tokens. */
  compute(tokenIds: Uint32Array): void {
    for (const { key } of this.#chain(tokenIds)) {
      const tiers = this.blocks.get(key) ?? new Set();
      this.blocks.set(key, tiers.add('pool').add('ram'));
    }
  }

  locate(tokenIds: Uint32Array): ChainLocation {
    const tokensIn = (tier: CacheTier): number => {
      const chain = this.#chain(tokenIds);
      const hole = chain.findIndex(({ key }) => !this.blocks.get(key)?.has(tier));
      return (hole < 0 ? chain : chain.slice(0, hole)).reduce((sum, { numTokens }) => sum + numTokens, 0);
    };
    const tokensByTier = { pool: tokensIn('pool'), ram: tokensIn('ram'), disk: tokensIn('disk') };
    const bytes = (tokens: number): number => Math.ceil(tokens / BLOCK_SIZE) * BLOCK_BYTES;
    const { pool, ram, disk } = tokensByTier;
    return {
      tokensByTier,
      bytesByTier: { pool: bytes(pool), ram: bytes(ram), disk: bytes(disk) },
      savedTokens: disk,
    };
  }

  pin(tokenIds: Uint32Array): void {
    this.pinned.push(tokenIds);
  }

  unpin(tokenIds: Uint32Array): void {
    const index = this.pinned.indexOf(tokenIds);
    if (index < 0) throw new Error('unpinned what was not pinned');
    this.pinned.splice(index, 1);
  }

  /** By tokens: what sessions said of them last. */
  readonly live = new Map<string, boolean>();

  enliven(tokenIds: Uint32Array): void {
    this.live.set(tokenIds.join(), true);
  }

  retire(tokenIds: Uint32Array): void {
    this.live.set(tokenIds.join(), false);
  }

  async save(tokenIds: Uint32Array): Promise<number> {
    for (const { key } of this.#chain(tokenIds)) this.blocks.get(key)?.add('disk');
    return this.locate(tokenIds).savedTokens;
  }

  async evict(tokenIds: Uint32Array, { tiers, keepTokens }: Eviction): Promise<void> {
    for (const { key, firstToken } of this.#chain(tokenIds)) {
      if (firstToken < keepTokens) continue;
      for (const tier of tiers) this.blocks.get(key)?.delete(tier);
    }
  }

  async exportBlocks(tokenIds: Uint32Array): Promise<readonly ChainBlock[]> {
    const chain = this.#chain(tokenIds).filter(({ key }) => (this.blocks.get(key)?.size ?? 0) > 0);
    return chain.map(({ key, ...block }) => ({ ...block, group: 0, bytes: Buffer.from(key).subarray(0, BLOCK_BYTES) }));
  }

  async importBlocks(tokenIds: Uint32Array, blocks: readonly ChainBlock[]): Promise<number> {
    const chain = this.#chain(tokenIds);
    for (const { firstToken } of blocks) {
      const key = chain.find((block) => block.firstToken === firstToken)?.key;
      if (key !== undefined) this.blocks.set(key, new Set(['ram']));
    }
    return this.locate(tokenIds).tokensByTier.ram;
  }

  /** The last block may be partial. */
  #chain(tokenIds: Uint32Array): { key: string; firstToken: number; numTokens: number }[] {
    return Array.from({ length: Math.ceil(tokenIds.length / BLOCK_SIZE) }, (_, index) => {
      const firstToken = index * BLOCK_SIZE;
      const end = Math.min(firstToken + BLOCK_SIZE, tokenIds.length);
      return { key: tokenIds.subarray(0, end).join(), firstToken, numTokens: end - firstToken };
    });
  }
}
