/** Moves KV blocks between the pool and the tiers below it, while steps go on. */
import type { CacheTier, KvTierStats } from '../api.ts';
import type { ModelRunner } from '../model-runner.ts';
import type { Scheduler } from '../scheduler.ts';
import type { BlockKey } from './block-key.ts';
import type { Restore, RestoredBlock } from './kv-cache.ts';
import type { LowerTier, LowerTiers } from './prefix-index.ts';
import type { Loan, StoredBlock } from './tiers/tier.ts';

/** Keeps payloads below the pool: in memory, on disk. Its troubles are its own: they never fail a request. */
export interface KvStore extends LowerTiers {
  /** True when something outlives the process. */
  readonly isDurable: boolean;
  /** Payload bytes in one tier; 0 for a block that is not there. */
  bytesIn(tier: LowerTier, key: BlockKey): number;
  /** True once the end of the process cannot lose the block. */
  isSaved(key: BlockKey): boolean;
  /** Takes over the payloads and returns at once; what its limits have no room for is dropped. */
  put(blocks: readonly StoredBlock[]): void;
  /** For a while. Never rejects. */
  lend(keys: readonly BlockKey[]): Promise<Loan>;
  /** Copies, in the order of `keys`; undefined: it is not there any more, or was damaged. */
  get(keys: readonly BlockKey[]): Promise<(Uint8Array | undefined)[]>;
  delete(keys: readonly BlockKey[], tiers?: readonly CacheTier[]): void;
  /** Pinned blocks are evicted last. Pins count, also those of blocks that are not there. */
  pin(keys: readonly BlockKey[]): void;
  unpin(keys: readonly BlockKey[]): void;
  /** How much likelier than others' the chain of these blocks is wanted again. */
  weigh(keys: readonly BlockKey[], weight: number): void;
  /** Resolves when all that was put before is saved, or has failed to be. */
  flush(): Promise<void>;
  stats(): readonly KvTierStats[];
}

export interface TrafficStats {
  readonly savedBlocks: number;
  readonly restoredBlocks: number;
  /** Milliseconds that choosing blocks and handing them over has taken from the engine's loop, beside the runner's part. */
  readonly loopMs: number;
}

export class BlockTraffic {
  readonly #scheduler: Scheduler;
  readonly #store: KvStore;
  readonly #onRestored: () => void;
  readonly #counts = { savedBlocks: 0, restoredBlocks: 0, loopMs: 0 };
  #saving: Promise<void> | undefined;
  #lastRead: Promise<unknown> = Promise.resolve();

  /** @param onRestored called when a sequence can go on, or has to be scheduled anew */
  constructor(scheduler: Scheduler, store: KvStore, onRestored: () => void) {
    this.#scheduler = scheduler;
    this.#store = store;
    this.#onRestored = onRestored;
  }

  get stats(): TrafficStats {
    return { ...this.#counts };
  }

  /** Begins what newly admitted sequences wait for. */
  restore(runner: ModelRunner): void {
    for (const restore of this.#scheduler.takeRestores()) void this.#restore(runner, restore);
  }

  /** Begins to save what has become findable, unless that is under way. Never rejects. */
  save(runner: ModelRunner): void {
    this.#saving ??= this.#save(runner).finally(() => {
      this.#saving = undefined;
    });
  }

  /** Resolves when everything findable has been handed to the store. */
  async saved(runner: ModelRunner): Promise<void> {
    await this.#saving;
    this.save(runner);
    await this.#saving;
  }

  /**
   * Payloads of up to `maxBlocksMoved` blocks, which `find` names when it is their turn: the runner reads for one at a time.
   * @throws EngineError device_lost
   */
  read(runner: ModelRunner, find: () => readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    const turn = this.#lastRead.then(() => runner.readBlocks(this.#timed(find)));
    this.#lastRead = turn.catch(() => []);
    return turn;
  }

  async #save(runner: ModelRunner): Promise<void> {
    try {
      for (;;) {
        const blocks = this.#timed(() => this.#scheduler.takeUnsaved(runner.maxBlocksMoved));
        if (blocks.length === 0) return;
        const payloads = await this.read(runner, () => blocks.map(({ block }) => block));
        this.#timed(() =>
          this.#store.put(blocks.map(({ block: _, ...named }, i) => ({ ...named, payload: payloads[i]! }))),
        );
        this.#counts.savedBlocks += blocks.length;
      }
    } catch {
      // A lost device takes the pool with it; the engine finds out by its next step.
    }
  }

  /** Reads one part while another is being written. */
  async #restore(runner: ModelRunner, restore: Restore): Promise<void> {
    const { items } = restore;
    const perPart = runner.maxBlocksMoved;
    const read = (start: number) => this.#store.lend(items.slice(start, start + perPart).map(({ key }) => key));
    let reading: Promise<Loan> | undefined = read(0);
    try {
      for (let start = 0; start < items.length; start += perPart) {
        const loan = await reading!;
        reading = start + perPart < items.length ? read(start + perPart) : undefined;
        try {
          if (!(await this.#write(runner, restore, items.slice(start, start + perPart), loan))) return;
        } finally {
          loan.release();
        }
      }
      if (!this.#scheduler.isWanted(restore)) return;
      this.#timed(() => this.#scheduler.restored(restore));
      this.#onRestored();
    } catch {
      // What went wrong, a step finds out if it was the device: nobody may wait for what does not come.
      if (this.#scheduler.isWanted(restore)) this.#giveUp(restore, items);
    } finally {
      reading?.then(({ release }) => release()).catch(() => {});
    }
  }

  /** @returns false when the restore is over: nobody wants it any more, or a payload is missing */
  async #write(
    runner: ModelRunner,
    restore: Restore,
    part: readonly RestoredBlock[],
    { payloads }: Loan,
  ): Promise<boolean> {
    const isWanted = (): boolean => this.#scheduler.isWanted(restore);
    if (!isWanted()) return false;
    const missing = part.filter((_, i) => payloads[i]?.byteLength !== runner.kv.blockBytes);
    if (missing.length > 0) {
      this.#giveUp(restore, missing);
      return false;
    }
    const blocks = part.map(({ block }) => block);
    if (!(await runner.writeBlocks(blocks, payloads as Uint8Array[], isWanted))) return false;
    this.#counts.restoredBlocks += part.length;
    return true;
  }

  #giveUp(restore: Restore, missing: readonly RestoredBlock[]): void {
    this.#scheduler.couldNotRestore(
      restore,
      missing.map(({ key }) => key),
    );
    this.#onRestored();
  }

  #timed<Result>(work: () => Result): Result {
    const start = performance.now();
    try {
      return work();
    } finally {
      this.#counts.loopMs += performance.now() - start;
    }
  }
}
