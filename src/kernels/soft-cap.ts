/** Bends logits into (−cap, cap). */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

const WORKGROUP_SIZE = 64;

/**
 * x = cap · tanh(x / cap), in place, for the first rows of x [maxRows, dim] f32.
 * Source: Gemma 2 report, section 2.
 */
export const bindSoftCap = async (
  device: GpuDevice,
  x: Tensor,
  cap: number,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const kernel = await Kernel.compile(device, 'soft-cap', { constants: { WORKGROUP_SIZE } });
  const bound = kernel.bind({ x });
  return (pass, numRows) => {
    const numElements = numRows * x.shape[1]!;
    bound.dispatch(pass, { numElements, cap }, linearGrid(Math.ceil(numElements / WORKGROUP_SIZE)));
  };
};
