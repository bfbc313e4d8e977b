/** Blocks in host memory: nearest below the pool, gone with the process. */
import type { BlockKey } from '../block-key.ts';
import { ChainOrder } from '../chain-order.ts';
import { ChildIndex } from './child-index.ts';
import type { BlockTier, Loan, TierBlock, TierStats } from './tier.ts';

export class RamTier implements BlockTier {
  readonly name = 'ram';
  readonly isDurable = false;
  readonly #maxBytes: number;
  readonly #blocks = new Map<BlockKey, TierBlock>();
  readonly #children = new ChildIndex();
  readonly #order = new ChainOrder((key) => this.#children.of(key));
  readonly #counts = { hits: 0, misses: 0, evictedBlocks: 0, droppedBlocks: 0 };
  #bytes = 0;

  /** @param maxBytes of payloads; 0 keeps none */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  has(key: BlockKey): boolean {
    return this.#blocks.has(key);
  }

  isSaved(): boolean {
    return false;
  }

  bytesOf(key: BlockKey): number {
    return this.#blocks.get(key)?.payload.byteLength ?? 0;
  }

  childrenOf(parent: BlockKey): Iterable<readonly [BlockKey, Uint32Array]> {
    return this.#children.of(parent).map((key) => [key, this.#blocks.get(key)!.tokenIds]);
  }

  /** Makes room by evicting, at worst the new blocks themselves. */
  put(blocks: readonly TierBlock[]): void {
    for (const block of blocks) {
      const { key, parent, tokenIds, payload, weight } = block;
      if (payload.byteLength > this.#maxBytes) {
        this.#counts.droppedBlocks++;
        continue;
      }
      if (!this.#blocks.has(key)) {
        this.#blocks.set(key, block);
        this.#children.add(key, parent);
        this.#bytes += payload.byteLength;
      }
      this.#order.add(key, { parent, numTokens: tokenIds.length, weight });
    }
    while (this.#bytes > this.#maxBytes) this.#evict();
  }

  async lend(keys: readonly BlockKey[]): Promise<Loan> {
    return { payloads: await Promise.all(keys.map((key) => this.#read(key))), release: () => {} };
  }

  delete(keys: readonly BlockKey[]): void {
    for (const key of keys) this.#forget(key);
  }

  pin(keys: readonly BlockKey[], change: 1 | -1): void {
    for (const key of keys) this.#order.pin(key, change);
  }

  weigh(keys: readonly BlockKey[], weight: number): void {
    for (const key of keys) this.#order.weigh(key, weight);
  }

  stats(): TierStats {
    const never = { corruptBlocks: 0, failedBlocks: 0, readErrors: 0, threadDeaths: 0, queuedBytes: 0, sealedBytes: 0 };
    const { name: tier } = this;
    return { tier, bytes: this.#bytes, maxBytes: this.#maxBytes, blocks: this.#blocks.size, ...this.#counts, ...never };
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#blocks.clear();
  }

  async #read(key: BlockKey): Promise<Uint8Array | undefined> {
    const block = this.#blocks.get(key);
    if (!block) return undefined;
    this.#order.use(key);
    const bytes = await block.payload.read();
    if (bytes) {
      this.#counts.hits++;
      return bytes;
    }
    this.#counts.misses++;
    if (this.#blocks.get(key) === block) this.delete([key]);
    return undefined;
  }

  #evict(): void {
    this.#forget(this.#order.take(true)!);
    this.#counts.evictedBlocks++;
  }

  #forget(key: BlockKey): void {
    const block = this.#blocks.get(key);
    if (!block) return;
    this.#blocks.delete(key);
    this.#children.remove(key, block.parent);
    this.#order.remove(key);
    this.#bytes -= block.payload.byteLength;
  }
}
