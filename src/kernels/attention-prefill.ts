/** Causal attention of a chunk's query tokens over cached prefix and chunk alike, through the block table. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { type PagedAttentionTensors, pagedAttentionSource } from './paged-attention.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionPrefillTensors extends PagedAttentionTensors {
  /** [maxRows] u32: a row at position p sees the keys 0 … p of its sequence. */
  readonly positions: Tensor;
  /** [maxTiles, 3] u32: sequence, first batch row, row count ≤ PREFILL_TILE_ROWS. */
  readonly tiles: Tensor;
}

/** Query rows of a tile. They are neighbours in the batch and in their sequence. */
export const PREFILL_TILE_ROWS = 16;

const WORKGROUP_SIZE = PREFILL_TILE_ROWS;

/** The rows' K and V are already in the cache. */
export const bindAttentionPrefill = async (
  device: GpuDevice,
  tensors: AttentionPrefillTensors,
): Promise<(pass: GPUComputePassEncoder, numTiles: number) => void> => {
  const { q, qColumn, kCache, vCache, blockTableStarts, blockTables, positions, tiles, y, numHeads } = tensors;
  const source = pagedAttentionSource(tensors);
  const kernel = await Kernel.compile(device, 'attention-prefill', {
    ...source,
    uses: ['lib/attend-serial'],
    constants: { ...source.constants, WORKGROUP_SIZE },
  });
  const bound = kernel.bind({ q, kCache, vCache, blockTableStarts, blockTables, positions, tiles, y });
  const stride = q.shape[1]!;
  return (pass, numTiles) => bound.dispatch(pass, { numTiles, stride, qColumn }, linearGrid(numTiles * numHeads));
};
