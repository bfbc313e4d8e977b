/** Adds up what a token's experts made of it. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface ExpertSumTensors {
  /** [maxTokens · expertsPerToken, dim] f32 or f16 */
  readonly x: Tensor;
  /** [maxTokens, expertsPerToken] f32 */
  readonly shares: Tensor;
  /** [maxTokens, dim] f32 or f16 */
  readonly y: Tensor;
}

const WORKGROUP_SIZE = 64;

/** y[t] = Σₛ shares[t, s] · x[t · expertsPerToken + s] */
export const bindExpertSum = async (
  device: GpuDevice,
  { x, shares, y }: ExpertSumTensors,
): Promise<(pass: GPUComputePassEncoder, numTokens: number) => void> => {
  const kernel = await Kernel.compile(device, 'expert-sum', {
    constants: { WORKGROUP_SIZE, EXPERTS_PER_TOKEN: shares.shape[1]! },
    aliases: { In: x.type, Act: y.type },
  });
  const bound = kernel.bind({ x, shares, y });
  const dim = y.shape[1]!;
  return (pass, numTokens) => {
    const numElements = numTokens * dim;
    bound.dispatch(pass, { numElements, dim }, linearGrid(Math.ceil(numElements / WORKGROUP_SIZE)));
  };
};
