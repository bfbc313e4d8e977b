/** Orders a batch's rows by expert, so that matrix products can go through one expert's weights at a time. */
import type { GpuDevice } from './device.ts';
import { Kernel } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface ExpertRoutesTensors {
  /** [maxTokens, expertsPerToken] u32. */
  readonly experts: Tensor;
  /** [numExperts + 1 + maxTokens · expertsPerToken] u32. */
  readonly routes: Tensor;
  readonly numExperts: number;
}

const WORKGROUP_SIZE = 64;

/**
 * routes[e] = where expert e's rows begin in the list behind the first numExperts + 1 words; the list has the row numbers
 * (token · expertsPerToken + slot) by expert, ascending for each.
 */
export const bindExpertRoutes = async (
  device: GpuDevice,
  { experts, routes, numExperts }: ExpertRoutesTensors,
): Promise<(pass: GPUComputePassEncoder, numTokens: number) => void> => {
  const kernel = await Kernel.compile(device, 'expert-routes', {
    constants: { WORKGROUP_SIZE, NUM_EXPERTS: numExperts },
  });
  const bound = kernel.bind({ experts, routes });
  const expertsPerToken = experts.shape[1]!;
  const grid = [Math.ceil(numExperts / WORKGROUP_SIZE)] as const;
  return (pass, numTokens) => bound.dispatch(pass, { numRows: numTokens * expertsPerToken }, grid);
};
