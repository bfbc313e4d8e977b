/** The tiers below the GPU's pool as one store: blocks go to every tier, and come from the nearest that has them. */
import type { BlockKey } from '../block-key.ts';
import type { LowerTier } from '../prefix-index.ts';
import { Payload } from './payload.ts';
import type { BlockTier, Loan, StoredBlock, TierBlock, TierStats } from './tier.ts';

/** Borrowed at once to be copied. */
const COPIED_BLOCKS = 16;

export class TieredStore {
  readonly #tiers: readonly BlockTier[];

  /** @param tiers the nearest first; the store closes them */
  constructor(tiers: readonly BlockTier[]) {
    this.#tiers = tiers;
  }

  /** True when something here outlives the process. */
  get isDurable(): boolean {
    return this.#tiers.some(({ isDurable }) => isDurable);
  }

  /** Name of the nearest tier that has the block. */
  tierOf(key: BlockKey): LowerTier | undefined {
    return this.#tiers.find((tier) => tier.has(key))?.name;
  }

  /** Payload bytes in one tier; 0 for a block or a tier that is not there. */
  bytesIn(name: LowerTier, key: BlockKey): number {
    return this.#tiers.find((tier) => tier.name === name)?.bytesOf(key) ?? 0;
  }

  /** True once the block outlives the process. */
  isSaved(key: BlockKey): boolean {
    return this.#tiers.some((tier) => tier.isSaved(key));
  }

  /** Blocks of any tier that come next after `parent`, each once. */
  childrenOf(parent: BlockKey): Iterable<readonly [key: BlockKey, tokenIds: Uint32Array]> {
    return new Map(this.#tiers.flatMap((tier) => [...tier.childrenOf(parent)]));
  }

  /** Takes over the payloads, parents before children, and returns at once. What no tier has room for is dropped. */
  put(blocks: readonly StoredBlock[]): void {
    const shared = blocks.map((block): TierBlock => ({ ...block, payload: new Payload(block.payload) }));
    for (const tier of this.#tiers) tier.put(shared);
  }

  /**
   * Payloads for a while, each from the nearest tier that has it. Never rejects. What comes from disk is not kept in memory
   * as well: to copy it takes longer than to read it again, which the system's own cache of files makes quick.
   */
  async lend(keys: readonly BlockKey[]): Promise<Loan> {
    const found = new Map<BlockKey, Uint8Array>();
    const loans: Loan[] = [];
    for (const tier of this.#tiers) {
      const wanted = keys.filter((key) => !found.has(key) && tier.has(key));
      if (wanted.length === 0) continue;
      const loan = await tier.lend(wanted);
      loans.push(loan);
      for (const [i, key] of wanted.entries()) if (loan.payloads[i]) found.set(key, loan.payloads[i]);
    }
    const release = (): void => {
      for (const loan of loans) loan.release();
    };
    return { payloads: keys.map((key) => found.get(key)), release };
  }

  /** Copies of payloads in the order of `keys`; undefined: no tier has it, or it was damaged. Never rejects. */
  async get(keys: readonly BlockKey[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    const copies: (Uint8Array<ArrayBuffer> | undefined)[] = [];
    for (let start = 0; start < keys.length; start += COPIED_BLOCKS) {
      const { payloads, release } = await this.lend(keys.slice(start, start + COPIED_BLOCKS));
      copies.push(...payloads.map((payload) => payload && new Uint8Array(payload)));
      release();
    }
    return copies;
  }

  /** @param names of tiers; absent: all */
  delete(keys: readonly BlockKey[], names?: readonly string[]): void {
    for (const tier of this.#tiers) if (names?.includes(tier.name) ?? true) tier.delete(keys);
  }

  /** Counted by key, whether a block is here yet or not: evicted after all that is not pinned. */
  pin(keys: readonly BlockKey[]): void {
    for (const tier of this.#tiers) tier.pin(keys, 1);
  }

  unpin(keys: readonly BlockKey[]): void {
    for (const tier of this.#tiers) tier.pin(keys, -1);
  }

  /** How much likelier than others' the chain of these blocks is wanted again. */
  weigh(keys: readonly BlockKey[], weight: number): void {
    for (const tier of this.#tiers) tier.weigh(keys, weight);
  }

  stats(): TierStats[] {
    return this.#tiers.map((tier) => tier.stats());
  }

  /** Resolves when all that was put before is saved, or has failed: ask `isSaved`. */
  async flush(): Promise<void> {
    await Promise.all(this.#tiers.map((tier) => tier.flush()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#tiers.map((tier) => tier.close()));
  }
}
