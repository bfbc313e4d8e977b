/** Attention of one query token a sequence over its paged cache: keys are split over workgroups, then merged. */
import { bindSerialAttention } from './attention-serial.ts';
import type { GpuDevice } from './device.ts';
import type { PagedAttentionTensors } from './paged-attention.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionDecodeTensors extends PagedAttentionTensors {
  /** [maxSequences] u32: keys that a row sees, its own token included. */
  readonly contextLengths: Tensor;
  readonly maxSequences: number;
  /** Most keys a sequence may have. */
  readonly maxContext: number;
}

/** Row i of the batch belongs to sequence i; its K and V are already in the cache. */
export const bindAttentionDecode = async (
  device: GpuDevice,
  tensors: AttentionDecodeTensors,
): Promise<(pass: GPUComputePassEncoder, numDecode: number, maxContextInBatch: number) => void> => {
  const { numHeads, numKvHeads, contextLengths, maxSequences, maxContext } = tensors;
  const headsPerKv = numHeads / numKvHeads;
  const queriesPerUnit = [4, 3, 2, 1].find((size) => headsPerKv % size === 0)!;
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
