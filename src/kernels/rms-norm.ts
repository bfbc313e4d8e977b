/** Root-mean-square normalisation of the residual stream, with the addition of a block's output fused in front. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { pickReduction, type Reduction } from './reduction.ts';
import type { Tensor } from './tensor.ts';

export interface RmsNormTensors {
  /** [maxRows, dim] f32: the residual stream. */
  readonly x: Tensor;
  /** [dim] f32 */
  readonly weight: Tensor;
  /** [maxRows, dim] f32 or f16 */
  readonly y: Tensor;
  readonly eps: number;
  /** [maxRows, dim] f32 or f16: added to x first, and x keeps the sum (not with `rows`). */
  readonly delta?: Tensor;
  /** [dim] f32: the delta is normalised with this weight before it is added (Gemma's post norms). */
  readonly deltaWeight?: Tensor;
  /** [maxRows] u32: y[i] is made of x[rows[i]]; x stays as it is. */
  readonly rows?: Tensor;
}

/**
 * y = x / sqrt(mean(x²) + eps) * weight, per row.
 * Source: Zhang & Sennrich 2019, equation 4.
 */
export const bindRmsNorm = async (
  device: GpuDevice,
  { x, weight, y, eps, delta, deltaWeight, rows }: RmsNormTensors,
  reduction: Reduction = pickReduction(device),
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const dim = x.shape[1]!;
  const kernel = await Kernel.compile(device, 'rms-norm', {
    uses: reduction.uses,
    constants: {
      ...reduction.constants,
      HAS_DELTA: delta !== undefined,
      NORMALIZES_DELTA: delta !== undefined && deltaWeight !== undefined,
      HAS_ROWS: rows !== undefined,
    },
    aliases: { Act: y.type, Delta: delta?.type ?? 'f32' },
  });
  // An absent tensor's binding takes one that is there; the shader never reads it.
  const bound = kernel.bind({
    x,
    weight,
    y,
    delta: delta ?? weight,
    rows: rows ?? weight,
    deltaWeight: deltaWeight ?? weight,
  });
  return (pass, numRows) =>
    bound.dispatch(pass, { numRows, dim, eps }, linearGrid(Math.ceil(numRows / reduction.groupsPerWorkgroup)));
};
