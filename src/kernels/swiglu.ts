/** The gate of a feed-forward block. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface SwigluTensors {
  /** [maxRows, 2 * dim] f32 or f16: gate, then up. */
  readonly gateUp: Tensor;
  /** [maxRows, dim] f32 or f16 */
  readonly y: Tensor;
}

const WORKGROUP_SIZE = 64;

/**
 * y = gate / (1 + exp(−gate)) * up
 * Source: Shazeer 2020, equation 6 (with β = 1).
 */
export const bindSwiglu = async (
  device: GpuDevice,
  { gateUp, y }: SwigluTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const kernel = await Kernel.compile(device, 'swiglu', {
    constants: { WORKGROUP_SIZE },
    aliases: { In: gateUp.type, Act: y.type },
  });
  const bound = kernel.bind({ gateUp, y });
  const dim = y.shape[1]!;
  return (pass, numRows) => {
    const numElements = numRows * dim;
    bound.dispatch(pass, { numElements, dim }, linearGrid(Math.ceil(numElements / WORKGROUP_SIZE)));
  };
};
