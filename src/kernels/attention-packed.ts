/** Attention without a mask and without a cache: every token of a sequence sees all its tokens, as in encoders. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionPackedTensors {
  /** [maxRows, 3 * numHeads * headDim] f32 or f16: query heads, key heads, value heads. */
  readonly qkv: Tensor;
  /** [maxRows, 2] u32: first row of the row's sequence, and the row behind its last. */
  readonly spans: Tensor;
  /** [maxRows, numHeads * headDim] f32 or f16 */
  readonly y: Tensor;
  readonly numHeads: number;
  /** A multiple of 4. */
  readonly headDim: number;
}

/** Neighbouring invocations have neighbouring rows of one head: they share the loads of its keys. */
const WORKGROUP_SIZE = 64;
const SOFTWARE_WORKGROUP_SIZE = 8;

/**
 * y = softmax(q Kᵀ / sqrt(headDim)) V of each row and head, over the keys of the row's own sequence.
 * @throws EngineError internal for heads that cannot be loaded four elements at a time
 */
export const bindAttentionPacked = async (
  device: GpuDevice,
  { qkv, spans, y, numHeads, headDim }: AttentionPackedTensors,
  loops: 'unrolled' | 'rolled' = device.isSoftware ? 'rolled' : 'unrolled',
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  if (headDim % 4 !== 0) throw new EngineError('internal', `packed attention: headDim ${headDim} is no multiple of 4`);
  const workgroupSize = device.isSoftware ? SOFTWARE_WORKGROUP_SIZE : WORKGROUP_SIZE;
  const kernel = await Kernel.compile(device, 'attention-packed', {
    constants: {
      WORKGROUP_SIZE: workgroupSize,
      NUM_HEADS: numHeads,
      VECTORS: headDim / 4,
      SCALE: 1 / Math.sqrt(headDim),
      UNROLLS: loops === 'unrolled',
    },
    aliases: { In: qkv.type, Out: y.type },
  });
  const bound = kernel.bind({ qkv, spans, y });
  return (pass, numRows) => {
    const grid = linearGrid(Math.ceil((numRows * numHeads) / workgroupSize));
    bound.dispatch(pass, { numRows, vectorsPerHead: headDim / 4 }, grid);
  };
};
