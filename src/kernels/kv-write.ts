/** Puts the K and V of a batch's tokens into their slots of the paged cache. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface KvWriteTensors {
  /** [maxRows, stride] f32 or f16 */
  readonly qkv: Tensor;
  /** First column of K head 0; the other heads follow. */
  readonly kColumn: number;
  readonly vColumn: number;
  /** [maxRows] u32: block * blockSize + offset. */
  readonly slots: Tensor;
  /** [numBlocks, numKvHeads, blockSize, headDim] f32 or f16 */
  readonly kCache: Tensor;
  readonly vCache: Tensor;
}

const WORKGROUP_SIZE = 64;

/** Rows of one batch must have distinct slots. */
export const bindKvWrite = async (
  device: GpuDevice,
  { qkv, kColumn, vColumn, slots, kCache, vCache }: KvWriteTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const [, numKvHeads, blockSize, headDim] = kCache.shape as [number, number, number, number];
  const kernel = await Kernel.compile(device, 'kv-write', {
    constants: { WORKGROUP_SIZE, NUM_KV_HEADS: numKvHeads, BLOCK_SIZE: blockSize, HEAD_DIM: headDim },
    aliases: { Act: qkv.type, Kv: kCache.type },
  });
  const bound = kernel.bind({ qkv, slots, kCache, vCache });
  const stride = qkv.shape[1]!;
  return (pass, numRows) => {
    const numElements = numRows * numKvHeads * headDim;
    const grid = linearGrid(Math.ceil(numElements / WORKGROUP_SIZE));
    bound.dispatch(pass, { numElements, stride, kColumn, vColumn }, grid);
  };
};
