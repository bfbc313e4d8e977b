/** The activation of an encoder's feed-forward block where it has no gate. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

const WORKGROUP_SIZE = 64;

/**
 * x = x · Φ(x) in place, Φ being the normal distribution's (the form with erf). x: [maxRows, dim] f32 or f16.
 * Source: Hendrycks & Gimpel 2016, section 2.
 */
export const bindGelu = async (
  device: GpuDevice,
  x: Tensor,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const kernel = await Kernel.compile(device, 'gelu', { constants: { WORKGROUP_SIZE }, aliases: { Act: x.type } });
  const bound = kernel.bind({ x });
  const dim = x.shape[1]!;
  return (pass, numRows) => {
    const numElements = numRows * dim;
    bound.dispatch(pass, { numElements }, linearGrid(Math.ceil(numElements / WORKGROUP_SIZE)));
  };
};
