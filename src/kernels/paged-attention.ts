/** What decode and prefill attention share: queries, the paged cache, and the checks on their shapes. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { type KvFormat, kvPage } from './kv-format.ts';
import type { Tensor } from './tensor.ts';

export interface PagedAttentionTensors {
  /** [maxRows, stride] f32 or f16: query head h lies at qColumn + h * headDim. */
  readonly q: Tensor;
  readonly qColumn: number;
  readonly kvFormat: KvFormat;
  /** As createKvCache makes them. */
  readonly kCache: Tensor;
  readonly vCache: Tensor;
  /** [maxSequences] u32: where each sequence's table starts in blockTables. */
  readonly blockTableStarts: Tensor;
  /** u32: block indices, in the order of the sequence's positions. */
  readonly blockTables: Tensor;
  /** [maxRows, numHeads * headDim] f32 or f16 */
  readonly y: Tensor;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** A multiple of 8; so are qColumn and the stride of q. */
  readonly headDim: number;
  /** A multiple of 4. */
  readonly blockSize: number;
  /** Factor of q · k, as a rule 1 / sqrt(headDim). */
  readonly scale: number;
  /** Most keys a query sees, its own included: the latest ones; absent: all. */
  readonly window?: number;
  /** Scores become softCap · tanh(score / softCap). Source: Gemma 2 report, section 2. */
  readonly softCap?: number;
  /** [numHeads] f32: a logit of each head that takes part in the softmax and has no value. Source: gpt-oss model card. */
  readonly sinks?: Tensor;
}

/**
 * Constants that the attention shaders bake in.
 * @throws EngineError internal when a size is not a multiple of what the kernels load at once
 */
export const pagedAttentionConstants = (tensors: PagedAttentionTensors) => {
  const { q, qColumn, kvFormat, y, numHeads, numKvHeads, headDim, blockSize, scale, window, softCap } = tensors;
  const stride = q.shape[1]!;
  if ([headDim, qColumn, stride].some((size) => size % 8 !== 0) || blockSize % 4 !== 0) {
    throw new EngineError(
      'internal',
      `attention: headDim ${headDim}, qColumn ${qColumn} and stride ${stride} must be multiples of 8, blockSize ${blockSize} of 4`,
    );
  }
  return {
    NUM_HEADS: numHeads,
    NUM_KV_HEADS: numKvHeads,
    HEADS_PER_KV: numHeads / numKvHeads,
    HEAD_DIM: headDim,
    BLOCK_SIZE: blockSize,
    SCALE: scale,
    WINDOW: window ?? 0xffffffff,
    HAS_SOFT_CAP: softCap !== undefined,
    SOFT_CAP: softCap ?? 1,
    ACT_IS_F16: q.type === 'f16',
    ...kvPage(kvFormat, { blockSize, headDim }),
    OUT_IS_F16: y.type === 'f16',
  };
};

/** The shader files that read a cache of this format. */
export const kvFiles = (format: KvFormat): readonly string[] => ['lib/octets', `lib/kv-${format}`];

/** The shader file that gives a head's sink, and its tensor. */
export const sinksOf = ({ sinks }: PagedAttentionTensors) =>
  sinks ? { file: 'lib/sinks', tensors: { sinks } } : { file: 'lib/sinks-none', tensors: {} };

/** Without barriers, for software adapters; or a workgroup that shares keys and values. */
export type AttentionVariant = 'serial' | 'workgroup';

export const pickAttentionVariant = (device: GpuDevice): AttentionVariant =>
  device.isSoftware ? 'serial' : 'workgroup';

/** The most query heads of one KV head, at most `limit`, that work can be cut into evenly. */
export const queriesPerGroup = (numHeads: number, numKvHeads: number, limit: number): number => {
  const headsPerKv = numHeads / numKvHeads;
  let size = Math.min(headsPerKv, limit);
  while (headsPerKv % size !== 0) size--;
  return size;
};
