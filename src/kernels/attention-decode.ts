/** Attention of one query token a sequence over its paged cache: keys are split over workgroups, then merged. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { type PagedAttentionTensors, pagedAttentionSource } from './paged-attention.ts';
import { sharedScratch } from './scratch.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionDecodeTensors extends PagedAttentionTensors {
  /** [maxSequences] u32: keys that a row sees, its own token included. */
  readonly contextLengths: Tensor;
  readonly maxSequences: number;
  /** Most keys a sequence may have. */
  readonly maxContext: number;
}

const WORKGROUP_SIZE = 16;
const MIN_SPLIT_KEYS = 64;
/** Partial results of all splits together stay within this, whatever the batch and context. */
const MAX_PARTIAL_BYTES = 64 * 1024 * 1024;

/** Row i of the batch belongs to sequence i; its K and V are already in the cache. */
export const bindAttentionDecode = async (
  device: GpuDevice,
  tensors: AttentionDecodeTensors,
): Promise<(pass: GPUComputePassEncoder, numDecode: number, maxContextInBatch: number) => void> => {
  const { q, qColumn, kCache, vCache, contextLengths, blockTableStarts, blockTables, y } = tensors;
  const { numHeads, headDim, maxSequences, maxContext } = tensors;
  const rowBytes = maxSequences * numHeads * (headDim + 2) * 4;
  let splitKeys = MIN_SPLIT_KEYS;
  while (splitKeys < maxContext && rowBytes * Math.ceil(maxContext / splitKeys) > MAX_PARTIAL_BYTES) splitKeys *= 2;
  const maxSplits = Math.ceil(maxContext / splitKeys);
  const partials = await sharedScratch(
    device,
    'f32',
    [maxSequences, numHeads, maxSplits, headDim + 2],
    'attention partials',
  );
  const source = pagedAttentionSource(tensors);
  const constants = { ...source.constants, SPLIT_KEYS: splitKeys, WORKGROUP_SIZE };
  const attend = await Kernel.compile(device, 'attention-decode', {
    ...source,
    uses: ['lib/attend-serial'],
    constants,
  });
  const merge = await Kernel.compile(device, 'attention-merge', { ...source, constants });
  const boundAttend = attend.bind({ q, kCache, vCache, contextLengths, blockTableStarts, blockTables, partials });
  const boundMerge = merge.bind({ partials, contextLengths, y });
  const stride = q.shape[1]!;
  return (pass, numDecode, maxContextInBatch) => {
    const numSplits = Math.ceil(maxContextInBatch / splitKeys);
    const numParts = numDecode * numHeads * numSplits;
    boundAttend.dispatch(
      pass,
      { numParts, numSplits, stride, qColumn },
      linearGrid(Math.ceil(numParts / WORKGROUP_SIZE)),
    );
    const numElements = numDecode * numHeads * headDim;
    boundMerge.dispatch(pass, { numElements, numSplits }, linearGrid(Math.ceil(numElements / WORKGROUP_SIZE)));
  };
};
