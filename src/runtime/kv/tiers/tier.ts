/** What every place below the GPU's pool promises that keeps KV blocks by key. */
import type { BlockKey } from '../block-key.ts';
import type { LowerTier } from '../prefix-index.ts';
import type { Payload } from './payload.ts';

/** One block's K and V, and what it takes to find it again. */
export interface StoredBlock {
  readonly key: BlockKey;
  /** Of the block before it in its sequence; undefined or a root key for the first. */
  readonly parent: BlockKey | undefined;
  /** As many as a block has room for, or fewer: the end of a sequence. */
  readonly tokenIds: Uint32Array;
  /** How much likelier than others' its chain is wanted again; absent: no likelier. */
  readonly weight?: number | undefined;
  /** Immutable. The store takes it over: whoever gave it must not read it again. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** A block on its way between tiers, which share its payload. */
export interface TierBlock extends Omit<StoredBlock, 'payload'> {
  readonly payload: Payload;
}

/** Payloads for a while, which everybody should give back soon: memory to read into is scarce. */
export interface Loan {
  /** In the order of the keys; undefined: not here, or damaged. Not to be changed, and not to be read after `release`. */
  readonly payloads: readonly (Uint8Array | undefined)[];
  /** To be called once. */
  release(): void;
}

export type TierFault =
  /** A file or block that is not what was written: removed, and absent from now on. */
  | 'corrupt'
  /** A file that somebody else removed. */
  | 'vanished'
  /** Files that were written with another key, or by another version: left alone. */
  | 'sealed'
  | 'write_failed'
  | 'read_failed'
  /** The thread that keeps the files ended; another takes its place. */
  | 'thread_died'
  /** Blocks that were not written, since the queue was full. */
  | 'dropped'
  /** Another process writes to the same folder. */
  | 'shared'
  /** Pinned blocks alone exceed the limit: the least valuable of them go. */
  | 'pins_exceed_limit';

/** Something went wrong that costs no more than recomputing. The message names files, never content. */
export interface TierWarning {
  readonly tier: string;
  readonly fault: TierFault;
  readonly message: string;
}

export interface TierStats {
  readonly tier: LowerTier;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly blocks: number;
  /** Blocks asked for and given. */
  readonly hits: number;
  /** Blocks asked for that were here a moment before, and not given. */
  readonly misses: number;
  readonly evictedBlocks: number;
  readonly corruptBlocks: number;
  /** Blocks that were not written, since the queue or the tier was full. */
  readonly droppedBlocks: number;
  /** Blocks that were not written, since writing failed. */
  readonly failedBlocks: number;
  readonly readErrors: number;
  /** Times that the thread which keeps the tier's files died. */
  readonly threadDeaths: number;
  /** Waiting to be written. */
  readonly queuedBytes: number;
  /** Bytes of files that are left alone: of another key or version. Beside `bytes`. */
  readonly sealedBytes: number;
}

/** Operations return at once or resolve; none throws or rejects: a fault is a warning, a count, and an absent block. */
export interface BlockTier {
  readonly name: LowerTier;
  /** True for what outlives the process. */
  readonly isDurable: boolean;
  has(key: BlockKey): boolean;
  /** True once a kill of the process, or a loss of power where the tier is set to survive it, cannot lose the block. */
  isSaved(key: BlockKey): boolean;
  /** Payload bytes; 0 for an absent block. */
  bytesOf(key: BlockKey): number;
  /** Blocks here that come next after `parent`. */
  childrenOf(parent: BlockKey): Iterable<readonly [key: BlockKey, tokenIds: Uint32Array]>;
  /** Takes blocks in, parents before children; returns at once. Blocks that are here already count as used. */
  put(blocks: readonly TierBlock[]): void;
  /** Counts as a use of the blocks. */
  lend(keys: readonly BlockKey[]): Promise<Loan>;
  delete(keys: readonly BlockKey[]): void;
  /** Counted by key, whether a block is here or not: pinned blocks are evicted last. */
  pin(keys: readonly BlockKey[], change: 1 | -1): void;
  /** Says anew how likely the chain of blocks that are here is wanted again: sessions go on, and end. */
  weigh(keys: readonly BlockKey[], weight: number): void;
  stats(): TierStats;
  /** Resolves when all that was put before is durable, or has failed. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
