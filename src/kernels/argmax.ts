/** The greatest logit of each row: what greedy decoding needs. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { pickReduction, type Reduction } from './reduction.ts';
import { sharedScratch } from './scratch.ts';
import type { Tensor } from './tensor.ts';

export interface ArgmaxTensors {
  /** [maxRows, vocabularySize] f32 */
  readonly logits: Tensor;
  /** [maxRows] u32 */
  readonly ids: Tensor;
}

/** Parts of a row that are searched side by side. */
const NUM_PARTS = 64;
const MERGE_WORKGROUP_SIZE = 16;

/** ids[row] = the lowest id among a row's greatest logits; NaN never wins, a row of NaN and −∞ alone gives 2³² − 1. */
export const bindArgmax = async (
  device: GpuDevice,
  { logits, ids }: ArgmaxTensors,
  reduction: Reduction = pickReduction(device),
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const [maxRows, vocabularySize] = logits.shape as [number, number];
  const partValues = await sharedScratch(device, 'f32', [maxRows, NUM_PARTS], 'argmax values');
  const partIds = await sharedScratch(device, 'u32', [maxRows, NUM_PARTS], 'argmax ids');
  const search = await Kernel.compile(device, 'argmax', {
    uses: reduction.uses,
    constants: { ...reduction.constants, NUM_PARTS },
  });
  const merge = await Kernel.compile(device, 'argmax-merge', {
    constants: { NUM_PARTS, WORKGROUP_SIZE: MERGE_WORKGROUP_SIZE },
  });
  const boundSearch = search.bind({ logits, partValues, partIds });
  const boundMerge = merge.bind({ partValues, partIds, ids });
  return (pass, numRows) => {
    const numWorkgroups = Math.ceil((numRows * NUM_PARTS) / reduction.groupsPerWorkgroup);
    boundSearch.dispatch(pass, { numRows, vocabularySize }, linearGrid(numWorkgroups));
    boundMerge.dispatch(pass, { numRows }, [Math.ceil(numRows / MERGE_WORKGROUP_SIZE)]);
  };
};
