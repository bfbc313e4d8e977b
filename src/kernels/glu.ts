/** The gated linear unit of a feed-forward block. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

/**
 * What the gate goes through: `silu` (SwiGLU), `gelu` in its tanh form (GeGLU), or `clamped-silu`: gate at most 7, up
 * within ±7, silu with a factor of 1.702, times up + 1.
 * Source: Shazeer 2020, equations 5 and 6; gpt-oss reference implementation, `swiglu`.
 */
export type GluActivation = 'silu' | 'gelu' | 'clamped-silu';

export interface GluTensors {
  /** [maxRows, 2 * dim] f32 or f16: gate, then up. */
  readonly gateUp: Tensor;
  /** [maxRows, dim] f32 or f16 */
  readonly y: Tensor;
  readonly activation: GluActivation;
}

const WORKGROUP_SIZE = 64;

/** y = activation(gate) * up */
export const bindGlu = async (
  device: GpuDevice,
  { gateUp, y, activation }: GluTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const kernel = await Kernel.compile(device, 'glu', {
    uses: [`lib/gate-${activation}`],
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
