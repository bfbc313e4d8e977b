/**
 * The best candidates of each row, for the sampler. The vocabulary is cut into groups; the k groups with the greatest
 * maxima hold the k greatest logits, so only they are searched.
 */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { sharedScratch } from './scratch.ts';
import type { Tensor } from './tensor.ts';

export interface TopKTensors {
  /** [maxRows, vocabularySize] f32 */
  readonly logits: Tensor;
  /** [maxRows, k] u32, k ≤ 64; 0xffffffff beyond the vocabulary. */
  readonly ids: Tensor;
  /** [maxRows, k] f32; −1e30 beyond the vocabulary. */
  readonly values: Tensor;
  /** [maxRows] f32: log Σ exp over the whole row. */
  readonly logSumExp: Tensor;
}

const MAX_K = 64;
const MIN_GROUP_SIZE = 32;
/** More ids a group as the vocabulary grows, so that the choice among groups stays cheap. */
const MAX_GROUPS = 1024;
const GROUP_WORKGROUP_SIZE = 64;
const SELECT_WORKGROUP_SIZE = 8;

/** Greatest logit first; of equal logits the lower id first. NaN and −∞ count as −1e30. */
export const bindTopK = async (
  device: GpuDevice,
  { logits, ids, values, logSumExp }: TopKTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const [maxRows, vocabularySize] = logits.shape as [number, number];
  const k = ids.shape[1]!;
  if (k < 1 || k > MAX_K) throw new EngineError('internal', `top-k: k is ${k}, allowed are 1 to ${MAX_K}`);
  const groupSize = Math.max(MIN_GROUP_SIZE, Math.ceil(vocabularySize / MAX_GROUPS));
  const numGroups = Math.ceil(vocabularySize / groupSize);
  const groupMaxima = await sharedScratch(device, 'f32', [maxRows, numGroups], 'top-k maxima');
  const groupSums = await sharedScratch(device, 'f32', [maxRows, numGroups], 'top-k sums');
  const groups = await Kernel.compile(device, 'top-k-groups', {
    constants: { WORKGROUP_SIZE: GROUP_WORKGROUP_SIZE },
  });
  const select = await Kernel.compile(device, 'top-k', { constants: { WORKGROUP_SIZE: SELECT_WORKGROUP_SIZE, K: k } });
  const boundGroups = groups.bind({ logits, groupMaxima, groupSums });
  const boundSelect = select.bind({ logits, groupMaxima, groupSums, ids, values, logSumExp });
  return (pass, numRows) => {
    const numAll = numRows * numGroups;
    const sizes = { vocabularySize, groupSize, numGroups };
    boundGroups.dispatch(pass, { numAll, ...sizes }, linearGrid(Math.ceil(numAll / GROUP_WORKGROUP_SIZE)));
    boundSelect.dispatch(pass, { numRows, ...sizes }, [Math.ceil(numRows / SELECT_WORKGROUP_SIZE)]);
  };
};
