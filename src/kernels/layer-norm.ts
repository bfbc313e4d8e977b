/** Layer normalisation of the residual stream, behind the addition of a block's output: the "post-norm" of encoders. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { pickReduction, type Reduction } from './reduction.ts';
import type { Tensor } from './tensor.ts';

export interface LayerNormTensors {
  /** [maxRows, dim] f32: the residual stream, which becomes the result. */
  readonly x: Tensor;
  /** [dim] f32 */
  readonly weight: Tensor;
  /** [dim] f32 */
  readonly bias: Tensor;
  /** [maxRows, dim] f32 or f16: a copy of the result. */
  readonly y: Tensor;
  readonly eps: number;
  /** [maxRows, dim] f32 or f16: added to x first. */
  readonly delta?: Tensor;
  /** [dim] f32: added to every row of x first. */
  readonly shift?: Tensor;
}

/**
 * x = (z − mean(z)) / sqrt(variance(z) + eps) * weight + bias, where z = x + delta + shift, per row.
 * Source: Ba et al. 2016, equation 4.
 */
export const bindLayerNorm = async (
  device: GpuDevice,
  { x, weight, bias, y, eps, delta, shift }: LayerNormTensors,
  reduction: Reduction = pickReduction(device),
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const dim = x.shape[1]!;
  const kernel = await Kernel.compile(device, 'layer-norm', {
    uses: reduction.uses,
    constants: { ...reduction.constants, HAS_DELTA: delta !== undefined, HAS_SHIFT: shift !== undefined },
    aliases: { Act: y.type, Delta: delta?.type ?? 'f32' },
  });
  // An absent tensor's binding takes one that is there; the shader never reads it.
  const bound = kernel.bind({ x, weight, bias, y, delta: delta ?? weight, shift: shift ?? weight });
  return (pass, numRows) =>
    bound.dispatch(pass, { numRows, dim, eps }, linearGrid(Math.ceil(numRows / reduction.groupsPerWorkgroup)));
};
