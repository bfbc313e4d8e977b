/** Causal attention of a chunk's query tokens over cached prefix and chunk alike, through the block table. */
import { bindSerialAttention } from './attention-serial.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import {
  type AttentionVariant,
  kvFiles,
  type PagedAttentionTensors,
  pagedAttentionConstants,
  pickAttentionVariant,
  sinksOf,
} from './paged-attention.ts';
import type { Tensor } from './tensor.ts';

export interface AttentionPrefillTensors extends PagedAttentionTensors {
  /**
   * [maxTiles, 4] u32: sequence, first batch row, row count (1 to PREFILL_TILE_ROWS), position of the first row. A row at
   * position p sees keys up to p of its sequence.
   */
  readonly tiles: Tensor;
  /** Most keys a sequence may have. */
  readonly maxContext: number;
}

export type RecordPrefill = (pass: GPUComputePassEncoder, numTiles: number) => void;

/** Query rows of a tile. They are neighbours in the batch and in their sequence. */
export const PREFILL_TILE_ROWS = 16;

const SERIAL_QUERIES = 4;
/** Keys that a workgroup holds at once: the most that fit its memory. */
const KEY_TILES = [32, 16, 8];
/** Its loops unroll into little code: a software adapter only runs this kernel to test it. */
const SOFTWARE_KEY_TILES = [8];

/** The rows' K and V are already in the cache. */
export const bindAttentionPrefill = (
  device: GpuDevice,
  tensors: AttentionPrefillTensors,
  variant: AttentionVariant = pickAttentionVariant(device),
): Promise<RecordPrefill> => (variant === 'serial' ? bindSerial(device, tensors) : bindTiled(device, tensors));

const bindSerial = async (device: GpuDevice, tensors: AttentionPrefillTensors): Promise<RecordPrefill> => {
  const { tiles, numHeads, maxContext } = tensors;
  const unitsPerTile = (PREFILL_TILE_ROWS / SERIAL_QUERIES) * numHeads;
  const attend = await bindSerialAttention(device, {
    ...tensors,
    queries: 'prefill',
    queryTensors: { tiles },
    queriesPerUnit: SERIAL_QUERIES,
    tileRows: PREFILL_TILE_ROWS,
    maxUnits: tiles.shape[0]! * unitsPerTile,
    maxContext,
  });
  return (pass, numTiles) => attend(pass, numTiles * unitsPerTile);
};

const tileBytes = (headDim: number, keyTile: number): number =>
  4 * (PREFILL_TILE_ROWS * (headDim + 2 * keyTile) + keyTile * (headDim + 4));

const bindTiled = async (device: GpuDevice, tensors: AttentionPrefillTensors): Promise<RecordPrefill> => {
  const { q, qColumn, kCache, vCache, blockTableStarts, blockTables, tiles, y } = tensors;
  const sinks = sinksOf(tensors);
  const { numHeads, headDim } = tensors;
  const limit = device.limits.maxComputeWorkgroupStorageSize;
  const keyTiles = device.isSoftware ? SOFTWARE_KEY_TILES : KEY_TILES;
  const keyTile = keyTiles.find((size) => tileBytes(headDim, size) <= limit) ?? keyTiles.at(-1)!;
  const kernel = await Kernel.compile(device, 'attention-prefill', {
    uses: ['lib/key-range', sinks.file, ...kvFiles(tensors.kvFormat)],
    constants: { ...pagedAttentionConstants(tensors), TILE_ROWS: PREFILL_TILE_ROWS, KEY_TILE: keyTile },
    aliases: { Out: y.type },
  });
  const bound = kernel.bind({ q, kCache, vCache, blockTableStarts, blockTables, tiles, y, ...sinks.tensors });
  const sizes = { stride: q.shape[1]! / 8, qColumn: qColumn / 8 };
  return (pass, numTiles) => bound.dispatch(pass, { ...sizes, numTiles }, linearGrid(numTiles * numHeads));
};
