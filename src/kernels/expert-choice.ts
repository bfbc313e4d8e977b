/** Which experts of a mixture a token goes to, and with what share. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface ExpertChoiceTensors {
  /** [maxTokens, numExperts] f32: what the router says. */
  readonly logits: Tensor;
  /** [maxTokens, expertsPerToken] u32: the chosen ones, best first. */
  readonly experts: Tensor;
  /** [maxTokens, expertsPerToken] f32 */
  readonly shares: Tensor;
  /** A token's shares are a softmax over its chosen experts, or their part of the softmax over all. */
  readonly sharesOf: 'chosen' | 'all';
}

const WORKGROUP_SIZE = 64;

/**
 * The `expertsPerToken` greatest logits of each token, of equal ones the lower number.
 * Source: Shazeer et al. 2017; Qwen3 and gpt-oss reference implementations.
 */
export const bindExpertChoice = async (
  device: GpuDevice,
  { logits, experts, shares, sharesOf }: ExpertChoiceTensors,
): Promise<(pass: GPUComputePassEncoder, numTokens: number) => void> => {
  const kernel = await Kernel.compile(device, 'expert-choice', {
    constants: {
      WORKGROUP_SIZE,
      NUM_EXPERTS: logits.shape[1]!,
      EXPERTS_PER_TOKEN: experts.shape[1]!,
      SHARES_OF_ALL: sharesOf === 'all',
    },
  });
  const bound = kernel.bind({ logits, experts, shares });
  return (pass, numTokens) => bound.dispatch(pass, { numTokens }, linearGrid(Math.ceil(numTokens / WORKGROUP_SIZE)));
};
