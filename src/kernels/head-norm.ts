/** Root-mean-square normalisation of each query and key head ("QK norm"), in place. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { pickReduction, type Reduction } from './reduction.ts';
import type { Tensor } from './tensor.ts';

export interface HeadNormTensors {
  /** [maxRows, stride] f32 or f16: query heads from column 0 on, then key heads; what follows stays. */
  readonly x: Tensor;
  /** [2, headDim] f32: for query heads, for key heads. */
  readonly weight: Tensor;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly eps: number;
}

/**
 * head = head / sqrt(mean(head²) + eps) * weight
 * Source: Henry et al. 2020; Qwen3 technical report, section 2.
 */
export const bindHeadNorm = async (
  device: GpuDevice,
  { x, weight, numHeads, numKvHeads, headDim, eps }: HeadNormTensors,
  reduction: Reduction = pickReduction(device),
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const headsPerRow = numHeads + numKvHeads;
  const kernel = await Kernel.compile(device, 'head-norm', {
    uses: reduction.uses,
    constants: {
      ...reduction.constants,
      HEAD_DIM: headDim,
      NUM_HEADS: headsPerRow,
      NUM_QUERY_HEADS: numHeads,
    },
    aliases: { Act: x.type },
  });
  const bound = kernel.bind({ x, weight });
  const stride = x.shape[1]!;
  return (pass, numRows) => {
    const total = numRows * headsPerRow;
    bound.dispatch(pass, { numHeads: total, stride, eps }, linearGrid(Math.ceil(total / reduction.groupsPerWorkgroup)));
  };
};
