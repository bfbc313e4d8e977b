/** The contract between the engine's loop and whatever computes logits: the GPU, or a script. */
import type { EngineError } from './errors.ts';

/**
 * One step's work, flattened over its sequences. Sequences with a single query token come first, then those in
 * prefill. All arrays are the runner's to read until `forward` resolves.
 */
export interface Batch {
  readonly numTokens: number;
  readonly numSequences: number;
  /** [numTokens] */
  readonly tokenIds: Uint32Array;
  /** [numTokens] position of each token in its sequence, from 0. */
  readonly positions: Uint32Array;
  /** [numSequences] stable names of the sequences, for runners that keep state by sequence. */
  readonly sequenceIds: readonly number[];
  /** [numSequences + 1] sequence s owns the tokens queryStarts[s] … queryStarts[s + 1] − 1. */
  readonly queryStarts: Uint32Array;
  /** [numSequences] tokens in the KV cache after this step's tokens are written. */
  readonly contextLengths: Uint32Array;
  /** Where K and V of the step lie, one entry for each of `kv.groups`. */
  readonly groups: readonly GroupBatch[];
  /** Blocks to copy before anything of the step is computed, in order. */
  readonly copies: readonly BlockCopy[];
  /** [numRows] batch token indices whose logits are wanted, ascending. Row r of the result belongs to logitTokens[r]. */
  readonly logitTokens: Uint32Array;
  /** Rows whose final states are to be summed: pairs of first batch token and count; absent: none. */
  readonly segments?: Uint32Array;
  /** Best candidates to report per row: 0 (argmax only) to `maxCandidates`. */
  readonly numCandidates: number;
}

/** Whole KV blocks, by index. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** Where one layer group's K and V of a step lie. */
export interface GroupBatch {
  /** [numTokens] where each token's K and V go: block * blockSize + offset. */
  readonly slots: Uint32Array;
  /** One block table a sequence, up to block ceil(contextLength / blockSize) − 1. */
  readonly blockTables: readonly Uint32Array[];
  /** [numSequences] the block of the sequence that its table's first entry stands for; 0 without a window. */
  readonly firstBlocks: Uint32Array;
}

/** The result of one step. Valid until the next `forward`. */
export interface StepLogits {
  readonly numRows: number;
  /** [numRows] the token with the greatest logit; the lowest id wins a tie. 2³² − 1: no logit is a number. */
  readonly argmax: Uint32Array;
  /** [numRows * numCandidates] the best tokens of each row, greatest logit first. */
  readonly candidateIds: Uint32Array;
  /** [numRows * numCandidates] their logits. */
  readonly candidateLogits: Float32Array;
  /** [numRows] log of the sum of exp over the whole row; with numCandidates = 0 it may be empty. */
  readonly logSumExp: Float32Array;
  /** [segments * hiddenSize] the sums that the batch's segments asked for. */
  readonly pooled?: Float32Array;
  /** Whole rows of logits, [rows.length * vocabularySize], in the order asked for. */
  readLogits(rows: readonly number[]): Promise<Float32Array>;
  /** Rows whose sequence failed in this step; the others are good. */
  readonly failures?: ReadonlyMap<number, EngineError>;
  /** Rows whose sequence the runner ends here, as if its token limit were met: no token is taken from them. */
  readonly endings?: ReadonlySet<number>;
}

/** Layers that see equally far back and share their blocks. */
export interface KvGroup {
  /** Most keys a query sees, its own included; absent: all, so that every block is kept. */
  readonly window?: number;
}

/** A block holds K and V of `blockSize` tokens in the layers of one group; all blocks come from one pool. */
export interface KvGeometry {
  /** Tokens a block. */
  readonly blockSize: number;
  readonly numBlocks: number;
  readonly blockBytes: number;
  /** A sequence has a block table for each. */
  readonly groups: readonly KvGroup[];
}

/** Most tokens, sequences and rows of logits that one step may have. */
export interface StepLimits {
  readonly maxTokens: number;
  readonly maxSequences: number;
  readonly maxRows: number;
}

/** Computes logits. Calls to `forward` never overlap. */
export interface ModelRunner {
  readonly kv: KvGeometry;
  readonly limits: StepLimits;
  /** Most candidates a row that `forward` can report. */
  readonly maxCandidates: number;
  /** Shows a runner that wants to know it a sequence's whole prompt, before the first of its tokens is fed. */
  begin?(sequenceId: number, promptTokenIds: Uint32Array): void;
  /** @throws EngineError device_lost, out_of_memory: the whole step failed */
  forward(batch: Batch): Promise<StepLogits>;
  /** Milliseconds that moving blocks has taken of this thread. */
  readonly kvTransferMs: number;
  /** Most blocks that one `readBlocks` or `writeBlocks` takes. */
  readonly maxBlocksMoved: number;
  /**
   * Payloads of KV blocks, `kv.blockBytes` each, as they are now; steps go on meanwhile. Calls never overlap.
   * @throws EngineError device_lost
   */
  readBlocks(blocks: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]>;
  /**
   * Puts payloads into KV blocks, if `isWanted` still says so when it can be done. Steps that begin after it has resolved
   * see them.
   * @returns whether it was done
   * @throws EngineError device_lost
   */
  writeBlocks(blocks: readonly number[], payloads: readonly Uint8Array[], isWanted?: () => boolean): Promise<boolean>;
  /** Forgets what is kept for a finished sequence. */
  release(sequenceId: number): void;
  /** Bytes the runner holds on the device: weights, KV pool, activations, staging. */
  readonly gpuBytes: number;
  close(): Promise<void>;
}
