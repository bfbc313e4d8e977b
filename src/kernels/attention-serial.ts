/**
 * Paged attention without barriers or workgroup memory, for adapters where a barrier costs seconds to compile and a
 * load costs far more than arithmetic. The weights of all keys pass through memory between its three dispatches.
 */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { kvFiles, type PagedAttentionTensors, pagedAttentionConstants, sinksOf } from './paged-attention.ts';
import { sharedScratch } from './scratch.ts';
import type { Tensor } from './tensor.ts';

export interface SerialAttention extends PagedAttentionTensors {
  /** Which shader file says what a unit of work is, and its tensors. */
  readonly queries: 'decode' | 'prefill';
  readonly queryTensors: Readonly<Record<string, Tensor>>;
  /** Queries that an invocation computes side by side, so that they share loads. */
  readonly queriesPerUnit: number;
  /** Rows of a prefill tile. */
  readonly tileRows: number;
  /** Units that one recording may have. */
  readonly maxUnits: number;
  readonly maxContext: number;
}

const WORKGROUP_SIZE = 8;
/** Invocations that share the keys of a unit. */
const KEY_LANES = 16;
const MAX_WEIGHT_BYTES = 32 * 1024 * 1024;

/** Records the attention of `numUnits` units, in several rounds where their weights would not fit the scratch. */
export const bindSerialAttention = async (
  device: GpuDevice,
  attention: SerialAttention,
): Promise<(pass: GPUComputePassEncoder, numUnits: number) => void> => {
  const { q, qColumn, kCache, vCache, blockTableStarts, blockTables, y } = attention;
  const { headDim, queries, queryTensors, queriesPerUnit, tileRows, maxUnits, maxContext } = attention;
  const maxKeys = Math.ceil(maxContext / 4) * 4;
  const unitBytes = queriesPerUnit * maxKeys * 4;
  const unitsPerRound = Math.max(1, Math.min(maxUnits, Math.floor(MAX_WEIGHT_BYTES / unitBytes)));
  const rooms = unitsPerRound * queriesPerUnit;
  const weights = await sharedScratch(device, 'f32', [rooms, maxKeys], 'attention weights');
  const inverseSums = await sharedScratch(device, 'f32', [rooms], 'attention inverse sums');
  const source = {
    uses: ['lib/key-range', `lib/queries-${queries}`],
    constants: {
      ...pagedAttentionConstants(attention),
      QUERIES: queriesPerUnit,
      TILE_ROWS: tileRows,
      KEY_LANES,
      WORKGROUP_SIZE,
    },
  };
  const reading = [...kvFiles(attention.kvFormat), ...source.uses];
  const scores = await Kernel.compile(device, 'attention-scores', { ...source, uses: reading });
  const sinks = sinksOf(attention);
  const softmax = await Kernel.compile(device, 'attention-softmax', { ...source, uses: [sinks.file, ...source.uses] });
  const values = await Kernel.compile(device, 'attention-values', { ...source, uses: reading });
  const shared = { blockTableStarts, blockTables, weights, inverseSums, ...queryTensors };
  const boundScores = scores.bind({ ...shared, q, kCache });
  const boundSoftmax = softmax.bind({ ...shared, ...sinks.tensors });
  const boundValues = values.bind({ ...shared, vCache, y });
  const octetsPerHead = headDim / 8;
  const sizes = { stride: q.shape[1]! / 8, qColumn: qColumn / 8, octetsPerHead, maxKeys };
  return (pass, total) => {
    for (let firstUnit = 0; firstUnit < total; firstUnit += unitsPerRound) {
      const numUnits = Math.min(unitsPerRound, total - firstUnit);
      const round = { ...sizes, firstUnit, numUnits };
      boundScores.dispatch(pass, round, linearGrid(Math.ceil((numUnits * KEY_LANES) / WORKGROUP_SIZE)));
      boundSoftmax.dispatch(pass, round, linearGrid(Math.ceil((numUnits * queriesPerUnit) / WORKGROUP_SIZE)));
      boundValues.dispatch(pass, round, linearGrid(Math.ceil((numUnits * octetsPerHead) / WORKGROUP_SIZE)));
    }
  };
};
