/** Causal attention of a chunk's query tokens over cached prefix and chunk alike, through the block table. */
import { bindSerialAttention } from './attention-serial.ts';
import type { GpuDevice } from './device.ts';
import type { PagedAttentionTensors } from './paged-attention.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionPrefillTensors extends PagedAttentionTensors {
  /** [maxRows] u32: a row at position p sees the keys 0 … p of its sequence. */
  readonly positions: Tensor;
  /** [maxTiles, 3] u32: sequence, first batch row, row count ≤ PREFILL_TILE_ROWS. */
  readonly tiles: Tensor;
  /** Most keys a sequence may have. */
  readonly maxContext: number;
}

/** Query rows of a tile. They are neighbours in the batch and in their sequence. */
export const PREFILL_TILE_ROWS = 16;

const QUERIES_PER_UNIT = 4;

/** The rows' K and V are already in the cache. */
export const bindAttentionPrefill = async (
  device: GpuDevice,
  tensors: AttentionPrefillTensors,
): Promise<(pass: GPUComputePassEncoder, numTiles: number) => void> => {
  const { positions, tiles, numHeads, maxContext } = tensors;
  const unitsPerTile = (PREFILL_TILE_ROWS / QUERIES_PER_UNIT) * numHeads;
  const attend = await bindSerialAttention(device, {
    ...tensors,
    queries: 'prefill',
    queryTensors: { positions, tiles },
    queriesPerUnit: QUERIES_PER_UNIT,
    tileRows: PREFILL_TILE_ROWS,
    maxUnits: tiles.shape[0]! * unitsPerTile,
    maxContext,
  });
  return (pass, numTiles) => attend(pass, numTiles * unitsPerTile);
};
