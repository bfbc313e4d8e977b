/**
 * The best candidates of each row, for the sampler. The vocabulary is cut into groups; the k groups with the greatest
 * maxima hold the k greatest logits, so only they are searched.
 */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { pickReduction } from './reduction.ts';
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

/** One invocation a row that inserts, with little work; or one a logit that counts the better ones, with little waiting. */
export type TopKVariant = 'insert' | 'rank';

type Recorder = (pass: GPUComputePassEncoder, numRows: number) => void;

const MAX_K = 64;
const MIN_GROUP_SIZE = 32;
/** More ids a group as the vocabulary grows, so that the choice among groups stays cheap. */
const MAX_GROUPS = 1024;
const WORKGROUP_SIZE = 64;
const INSERT_WORKGROUP_SIZE = 8;

/** Greatest logit first; of equal logits the lower id first. NaN and −∞ count as −1e30. */
export const bindTopK = async (
  device: GpuDevice,
  { logits, ids, values, logSumExp }: TopKTensors,
  variant: TopKVariant = device.isSoftware ? 'insert' : 'rank',
): Promise<Recorder> => {
  const [maxRows, vocabularySize] = logits.shape as [number, number];
  const k = ids.shape[1]!;
  if (k < 1 || k > MAX_K) throw new EngineError('internal', `top-k: k is ${k}, allowed are 1 to ${MAX_K}`);
  const groupSize = Math.max(MIN_GROUP_SIZE, Math.ceil(vocabularySize / MAX_GROUPS));
  const numGroups = Math.ceil(vocabularySize / groupSize);
  const groupMaxima = await sharedScratch(device, 'f32', [maxRows, numGroups], 'top-k maxima');
  const groupSums = await sharedScratch(device, 'f32', [maxRows, numGroups], 'top-k sums');
  const groups = await Kernel.compile(device, 'top-k-groups', { constants: { WORKGROUP_SIZE } });
  const boundGroups = groups.bind({ logits, groupMaxima, groupSums });
  const sizes = { vocabularySize, groupSize, numGroups };
  const choice: Choice = { maxRows, k, sizes, tensors: { logits, ids, values, groupMaxima } };
  const choose = await (variant === 'insert' ? bindInsert(device, choice) : bindRank(device, choice));
  const sum = await bindLogSumExp(device, { groupMaxima, groupSums, logSumExp }, numGroups);
  return (pass, numRows) => {
    const numAll = numRows * numGroups;
    boundGroups.dispatch(pass, { ...sizes, numAll }, linearGrid(Math.ceil(numAll / WORKGROUP_SIZE)));
    choose(pass, numRows);
    sum(pass, numRows);
  };
};

interface Choice {
  readonly maxRows: number;
  readonly k: number;
  readonly sizes: { readonly vocabularySize: number; readonly groupSize: number; readonly numGroups: number };
  readonly tensors: Readonly<Record<'logits' | 'ids' | 'values' | 'groupMaxima', Tensor>>;
}

const bindInsert = async (device: GpuDevice, { k, sizes, tensors }: Choice): Promise<Recorder> => {
  const kernel = await Kernel.compile(device, 'top-k', { constants: { WORKGROUP_SIZE: INSERT_WORKGROUP_SIZE, K: k } });
  const bound = kernel.bind(tensors);
  return (pass, numRows) => bound.dispatch(pass, { ...sizes, numRows }, [Math.ceil(numRows / INSERT_WORKGROUP_SIZE)]);
};

const bindRank = async (device: GpuDevice, { maxRows, k, sizes, tensors }: Choice): Promise<Recorder> => {
  const bestGroups = await sharedScratch(device, 'u32', [maxRows, k], 'top-k best groups');
  const constants = { WORKGROUP_SIZE, K: k };
  const rankGroups = await Kernel.compile(device, 'top-k-rank-groups', { constants });
  const rank = await Kernel.compile(device, 'top-k-rank', { constants });
  const boundGroups = rankGroups.bind({ ...tensors, bestGroups });
  const boundRank = rank.bind({ ...tensors, bestGroups });
  const candidatesPerRow = Math.min(k, sizes.numGroups) * sizes.groupSize;
  return (pass, numRows) => {
    const numGroups = numRows * sizes.numGroups;
    boundGroups.dispatch(pass, { ...sizes, numAll: numGroups }, linearGrid(Math.ceil(numGroups / WORKGROUP_SIZE)));
    const numAll = numRows * candidatesPerRow;
    boundRank.dispatch(pass, { ...sizes, numAll }, linearGrid(Math.ceil(numAll / WORKGROUP_SIZE)));
  };
};

const bindLogSumExp = async (
  device: GpuDevice,
  tensors: Readonly<Record<'groupMaxima' | 'groupSums' | 'logSumExp', Tensor>>,
  numGroups: number,
): Promise<Recorder> => {
  const reduction = pickReduction(device);
  const kernel = await Kernel.compile(device, 'log-sum-exp', {
    uses: reduction.uses,
    constants: reduction.constants,
  });
  const bound = kernel.bind(tensors);
  return (pass, numRows) =>
    bound.dispatch(pass, { numRows, numGroups }, [Math.ceil(numRows / reduction.groupsPerWorkgroup)]);
};
