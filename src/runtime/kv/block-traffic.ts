/** Moves KV blocks between the pool and the tiers below it, while steps go on. */
import type { CacheTier, KvTierStats } from '../api.ts';
import type { ModelRunner } from '../model-runner.ts';
import type { Scheduler } from '../scheduler.ts';
import type { BlockKey } from './block-key.ts';
import type { Restore, RestoredBlock } from './kv-cache.ts';
import type { LowerTier, LowerTiers } from './prefix-index.ts';
import type { StoredBlock } from './tiers/tier.ts';

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
  /** In the order of `keys`; undefined: it is not there any more, or was damaged. */
  get(keys: readonly BlockKey[]): Promise<(Uint8Array | undefined)[]>;
  delete(keys: readonly BlockKey[], tiers?: readonly CacheTier[]): void;
  /** Pinned blocks are evicted last. Pins count, also those of blocks that are not there. */
  pin(keys: readonly BlockKey[]): void;
  unpin(keys: readonly BlockKey[]): void;
  /** Resolves when all that was put before is saved, or has failed to be. */
  flush(): Promise<void>;
  stats(): readonly KvTierStats[];
}

/** Written into the pool at once: a few milliseconds of the loop's time. */
const RESTORE_BYTES = 8 * 1024 ** 2;

export interface TrafficStats {
  readonly savedBlocks: number;
  readonly restoredBlocks: number;
  /** Milliseconds that saving and restoring have taken from the engine's loop. */
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
   * Payloads of up to `maxBlocksRead` blocks, which `find` names when it is their turn: the runner reads for one at a time.
   * @throws EngineError device_lost
   */
  read(runner: ModelRunner, find: () => readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    const turn = this.#lastRead.then(() => this.#timed(() => runner.readBlocks(find())));
    this.#lastRead = turn.catch(() => []);
    return turn;
  }

  async #save(runner: ModelRunner): Promise<void> {
    try {
      for (;;) {
        const blocks = this.#timed(() => this.#scheduler.takeUnsaved(runner.maxBlocksRead));
        if (blocks.length === 0) return;
        const payloads = await this.read(runner, () => blocks.map(({ block }) => block));
        this.#timed(() =>
          this.#store.put(
            blocks.map(({ key, parent, tokenIds }, i) => ({ key, parent, tokenIds, payload: payloads[i]! })),
          ),
        );
        this.#counts.savedBlocks += blocks.length;
      }
    } catch {
      // A lost device takes the pool with it; the engine finds out by its next step.
    }
  }

  async #restore(runner: ModelRunner, restore: Restore): Promise<void> {
    const perRead = Math.max(1, Math.floor(RESTORE_BYTES / runner.kv.blockBytes));
    for (let start = 0; start < restore.items.length; start += perRead) {
      const items = restore.items.slice(start, start + perRead);
      const payloads = await this.#store.get(items.map(({ key }) => key));
      if (!this.#scheduler.isWanted(restore)) return;
      const missing = items.filter((_, i) => payloads[i]?.byteLength !== runner.kv.blockBytes);
      if (missing.length > 0) {
        this.#giveUp(restore, missing);
        return;
      }
      this.#timed(() =>
        runner.writeBlocks(
          items.map(({ block }) => block),
          payloads as Uint8Array[],
        ),
      );
      this.#counts.restoredBlocks += items.length;
    }
    this.#scheduler.restored(restore);
    this.#onRestored();
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
