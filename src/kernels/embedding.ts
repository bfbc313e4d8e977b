/** Embedding gather: token ids on the device select rows of a weight matrix. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';
import type { WeightMatrix } from './weight-matrix.ts';

const WORKGROUP_SIZE = 64;

export interface EmbeddingTensors {
  /** [vocabulary, K]. */
  readonly weight: WeightMatrix;
  /** [maxRows] u32, read when the dispatch runs. */
  readonly tokenIds: Tensor;
  /** [maxRows, K] f32. */
  readonly y: Tensor;
  /** Multiplies every value; 1 when absent. */
  readonly scale?: number;
}

/**
 * y[r] = scale · weight[tokenIds[r]] for r < numRows; an id that the matrix has no row for gives zeros.
 * One dispatch per shard.
 * @throws EngineError internal when shapes disagree
 */
export const bindEmbedding = async (
  device: GpuDevice,
  { weight, tokenIds, y, scale = 1 }: EmbeddingTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const { columns } = weight;
  const maxRows = Math.min(y.shape[0] ?? 0, tokenIds.shape[0] ?? 0);
  if (y.shape[1] !== columns || y.type !== 'f32' || tokenIds.type !== 'u32') {
    throw new EngineError('internal', `embedding: y is [${y.shape}] ${y.type}, expected [rows, ${columns}] f32`);
  }
  const kernel = await Kernel.compile(device, 'embedding', { uses: weight.format.shaders });
  const shards = weight.shards.map((shard) => ({ shard, bound: kernel.bind({ ...shard.streams, tokenIds, y }) }));
  const quadsPerRow = Math.ceil(columns / 4);
  return (pass, numRows) => {
    if (numRows > maxRows) throw new EngineError('internal', `embedding: ${numRows} rows, bound for ${maxRows}`);
    const grid = linearGrid(Math.ceil((numRows * quadsPerRow) / WORKGROUP_SIZE));
    for (const { shard, bound } of shards) {
      const { rowStart, rows } = shard;
      bound.dispatch(
        pass,
        { columns, numTokens: numRows, rowStart, rowEnd: rowStart + rows, vocabularySize: weight.rows, scale },
        grid,
      );
    }
  };
};
