/** Puts the K and V of a batch's tokens into their slots of the paged cache. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import { isQuantized, type KvBlockShape, type KvFormat, kvPage } from './kv-format.ts';
import type { Tensor } from './tensor.ts';

export interface KvWriteTensors extends KvBlockShape {
  /** [maxRows, stride] f32 or f16 */
  readonly qkv: Tensor;
  /** First column of K head 0; the other heads follow. */
  readonly kColumn: number;
  readonly vColumn: number;
  /** [maxRows] u32: block * blockSize + offset. */
  readonly slots: Tensor;
  readonly kvFormat: KvFormat;
  /** As createKvCache makes them. */
  readonly kCache: Tensor;
  readonly vCache: Tensor;
}

const WORKGROUP_SIZE = 64;
/** A group is much work: a step of few rows should still spread over a software adapter's threads. */
const GROUPS_WORKGROUP_SIZE = 16;

/** Rows of one batch must have distinct slots. */
export const bindKvWrite = (
  device: GpuDevice,
  tensors: KvWriteTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> =>
  isQuantized(tensors.kvFormat) ? bindGroups(device, tensors) : bindElements(device, tensors);

const bindElements = async (device: GpuDevice, tensors: KvWriteTensors) => {
  const { qkv, kColumn, vColumn, slots, kCache, vCache, numKvHeads, blockSize, headDim } = tensors;
  const kernel = await Kernel.compile(device, 'kv-write', {
    constants: { WORKGROUP_SIZE, NUM_KV_HEADS: numKvHeads, BLOCK_SIZE: blockSize, HEAD_DIM: headDim },
    aliases: { Act: qkv.type, Kv: kCache.type },
  });
  const bound = kernel.bind({ qkv, slots, kCache, vCache });
  const stride = qkv.shape[1]!;
  return (pass: GPUComputePassEncoder, numRows: number): void => {
    const numElements = numRows * numKvHeads * headDim;
    const grid = linearGrid(Math.ceil(numElements / WORKGROUP_SIZE));
    bound.dispatch(pass, { numElements, stride, kColumn, vColumn }, grid);
  };
};

const bindGroups = async (device: GpuDevice, tensors: KvWriteTensors) => {
  const { qkv, kColumn, vColumn, slots, kCache, vCache, kvFormat, numKvHeads, blockSize, headDim } = tensors;
  const page = kvPage(kvFormat, tensors);
  const kernel = await Kernel.compile(device, 'kv-write-groups', {
    constants: {
      WORKGROUP_SIZE: GROUPS_WORKGROUP_SIZE,
      NUM_KV_HEADS: numKvHeads,
      BLOCK_SIZE: blockSize,
      HEAD_DIM: headDim,
      ...page,
    },
    aliases: { Act: qkv.type },
  });
  const bound = kernel.bind({ qkv, slots, kCache, vCache });
  const stride = qkv.shape[1]!;
  return (pass: GPUComputePassEncoder, numRows: number): void => {
    const numGroups = 2 * numRows * numKvHeads * page.KV_GROUPS;
    const grid = linearGrid(Math.ceil(numGroups / GROUPS_WORKGROUP_SIZE));
    bound.dispatch(pass, { numGroups, stride, kColumn, vColumn }, grid);
  };
};
