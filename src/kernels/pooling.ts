/** Sums of neighbouring rows: what a sequence's embedding is made of. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface PoolingTensors {
  /** [maxRows, dim] f32 or f16 */
  readonly x: Tensor;
  /** [maxSegments, 2] u32: first row of x and number of rows. */
  readonly segments: Tensor;
  /** [maxSegments, dim] f32 */
  readonly y: Tensor;
}

const WORKGROUP_SIZE = 64;

/** y[s] = Σ x[row] over the rows of segment s. A segment of one row picks it; the sum's direction is the mean's. */
export const bindPooling = async (
  device: GpuDevice,
  { x, segments, y }: PoolingTensors,
): Promise<(pass: GPUComputePassEncoder, numSegments: number) => void> => {
  const kernel = await Kernel.compile(device, 'pooling', { constants: { WORKGROUP_SIZE }, aliases: { Act: x.type } });
  const bound = kernel.bind({ x, segments, y });
  const dim = x.shape[1]!;
  return (pass, numSegments) =>
    bound.dispatch(pass, { numSegments, dim }, linearGrid(Math.ceil((numSegments * dim) / WORKGROUP_SIZE)));
};
