/** Attention of one query token a sequence over its paged cache: keys are split over workgroups, then merged. */
import { bindSerialAttention } from './attention-serial.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import {
  type AttentionVariant,
  kvFiles,
  type PagedAttentionTensors,
  pagedAttentionConstants,
  pickAttentionVariant,
  queriesPerGroup,
  sinksOf,
} from './paged-attention.ts';
import { sharedScratch } from './scratch.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionDecodeTensors extends PagedAttentionTensors {
  /** [maxSequences] u32: keys that a row sees, its own token included. */
  readonly contextLengths: Tensor;
  readonly maxSequences: number;
  /** Most keys a sequence may have. */
  readonly maxContext: number;
}

export type RecordDecode = (pass: GPUComputePassEncoder, numDecode: number, maxContextInBatch: number) => void;

/** Invocations of a workgroup, and the keys it attends to. */
const SPLIT_KEYS = 128;
const MERGE_WORKGROUP_SIZE = 64;
/** Query heads a workgroup computes side by side. */
const MAX_QUERIES = 8;
const SERIAL_MAX_QUERIES = 4;
const MAX_PARTIAL_BYTES = 64 * 1024 * 1024;
/** Lanes of a subgroup that the kernel adds over. */
const KEY_LANES = 8;

/** Row i of the batch belongs to sequence i; its K and V are already in the cache. */
export const bindAttentionDecode = (
  device: GpuDevice,
  tensors: AttentionDecodeTensors,
  variant: AttentionVariant = pickAttentionVariant(device),
): Promise<RecordDecode> => (variant === 'serial' ? bindSerial(device, tensors) : bindSplit(device, tensors));

const bindSerial = async (device: GpuDevice, tensors: AttentionDecodeTensors): Promise<RecordDecode> => {
  const { numHeads, numKvHeads, contextLengths, maxSequences, maxContext } = tensors;
  const queriesPerUnit = queriesPerGroup(numHeads, numKvHeads, SERIAL_MAX_QUERIES);
  const unitsPerRow = numHeads / queriesPerUnit;
  const attend = await bindSerialAttention(device, {
    ...tensors,
    queries: 'decode',
    queryTensors: { contextLengths },
    queriesPerUnit,
    tileRows: 1,
    maxUnits: maxSequences * unitsPerRow,
    maxContext,
  });
  return (pass, numDecode) => attend(pass, numDecode * unitsPerRow);
};

/** Source: Dao et al. 2023, Flash-Decoding. */
const bindSplit = async (device: GpuDevice, tensors: AttentionDecodeTensors): Promise<RecordDecode> => {
  const { q, qColumn, kCache, vCache, contextLengths, blockTableStarts, blockTables, y } = tensors;
  const { numHeads, numKvHeads, headDim, maxSequences, maxContext } = tensors;
  // Each invocation owns 8 columns of a query.
  const queries = queriesPerGroup(numHeads, numKvHeads, Math.min(MAX_QUERIES, SPLIT_KEYS / (headDim / 8)));
  const maxSplits = Math.ceil(maxContext / SPLIT_KEYS);
  const rowBytes = numHeads * maxSplits * (headDim + 2) * 4;
  const rowsPerRound = Math.max(1, Math.min(maxSequences, Math.floor(MAX_PARTIAL_BYTES / rowBytes)));
  const partialShape = [rowsPerRound, numHeads, maxSplits, headDim + 2];
  const partials = await sharedScratch(device, 'f32', partialShape, 'attention partials');
  const constants = { ...pagedAttentionConstants(tensors), SPLIT_KEYS, QUERIES: queries };
  const keyLanes = device.subgroupMinSize >= KEY_LANES ? 'lib/key-lanes-subgroup' : 'lib/key-lanes-single';
  const attend = await Kernel.compile(device, 'attention-decode', {
    uses: ['lib/key-range', ...kvFiles(tensors.kvFormat), keyLanes],
    constants,
  });
  const sinks = sinksOf(tensors);
  const merge = await Kernel.compile(device, 'attention-merge', {
    uses: ['lib/key-range', sinks.file],
    constants: { ...constants, WORKGROUP_SIZE: MERGE_WORKGROUP_SIZE },
    aliases: { Out: y.type },
  });
  const boundAttend = attend.bind({ q, kCache, vCache, contextLengths, blockTableStarts, blockTables, partials });
  const boundMerge = merge.bind({ partials, contextLengths, y, ...sinks.tensors });
  const sizes = { stride: q.shape[1]! / 8, qColumn: qColumn / 8, octetsPerHead: headDim / 8 };
  return (pass, numDecode, maxContextInBatch) => {
    const numSplits = Math.ceil(maxContextInBatch / SPLIT_KEYS);
    for (let firstRow = 0; firstRow < numDecode; firstRow += rowsPerRound) {
      const numRows = Math.min(rowsPerRound, numDecode - firstRow);
      const numParts = (numRows * numSplits * numHeads) / queries;
      boundAttend.dispatch(pass, { ...sizes, firstRow, numParts, numSplits }, linearGrid(numParts));
      const numElements = numRows * numHeads * headDim;
      const grid = linearGrid(Math.ceil(numElements / MERGE_WORKGROUP_SIZE));
      boundMerge.dispatch(pass, { firstRow, numElements, numSplits }, grid);
    }
  };
};
