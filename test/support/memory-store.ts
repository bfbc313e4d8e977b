/** A store below the pool whose delays and losses the test decides. */
import type { ClosableStore } from '../../src/runtime/engine-parts.ts';
import type { Loan, StoredBlock } from '../../src/runtime/kv/tiers/tier.ts';

export class MemoryStore implements ClosableStore {
  readonly blocks = new Map<string, StoredBlock>();
  /** Loans that nobody has given back. */
  numLent = 0;
  /** Awaited before each read is answered. */
  beforeRead: () => Promise<void> = async () => {};

  tierOf(key: string): 'ram' | undefined {
    return this.blocks.has(key) ? 'ram' : undefined;
  }

  childrenOf(parent: string): [string, Uint32Array][] {
    const children = [...this.blocks.values()].filter((block) => block.parent === parent);
    return children.map(({ key, tokenIds }) => [key, tokenIds]);
  }

  put(blocks: readonly StoredBlock[]): void {
    for (const block of blocks) this.blocks.set(block.key, block);
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.blocks.get(key)?.payload);
  }

  /** Payloads that are overwritten when they are given back, as shared memory would be. */
  async lend(keys: readonly string[]): Promise<Loan> {
    await this.beforeRead();
    const payloads = keys.map((key) => this.blocks.get(key)?.payload.slice());
    this.numLent++;
    const release = (): void => {
      this.numLent--;
      for (const payload of payloads) payload?.fill(0xff);
    };
    return { payloads, release };
  }

  readonly isDurable = false;

  bytesIn(tier: 'ram' | 'disk', key: string): number {
    return tier === 'ram' ? (this.blocks.get(key)?.payload.byteLength ?? 0) : 0;
  }

  isSaved(): boolean {
    return false;
  }

  delete(keys: readonly string[]): void {
    for (const key of keys) this.blocks.delete(key);
  }

  pin(): void {}

  unpin(): void {}

  weigh(): void {}

  async flush(): Promise<void> {}

  stats(): [] {
    return [];
  }

  async close(): Promise<void> {}
}
