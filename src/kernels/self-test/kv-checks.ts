/** Checks of the kernels on the way into the KV cache. */
import type { GpuDevice } from '../device.ts';
import { bindHadamard, hadamardSize } from '../hadamard.ts';
import type { KvFormat } from '../kv-format.ts';
import { bindKvWrite } from '../kv-write.ts';
import * as reference from '../reference.ts';
import { HostKvCache } from './host-kv-cache.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, kvErrorOf, maxErrorOf } from './kernel-check.ts';

export interface KvWriteShape {
  readonly numRows: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly blockSize: number;
  readonly activations: FloatType;
  readonly kvFormat: KvFormat;
}

/** Halfway between two levels either is right: allowed is a part of the error that quantization itself makes. */
const MAX_KV_ERROR = { f32: maxErrorOf('f32'), f16: maxErrorOf('f16'), q8: 5e-6, q4: 1e-3 };

/** Rows go to shuffled slots; the other slots must stay as they are. */
export const kvWriteCheck = async (device: GpuDevice, shape: KvWriteShape): Promise<KernelCheck> => {
  const { numRows, numKvHeads, headDim, blockSize, activations, kvFormat } = shape;
  const tensors = new CheckTensors(device);
  const numBlocks = Math.ceil(numRows / blockSize) + 2;
  const width = numKvHeads * headDim;
  const qkv = tensors.randomFloats(activations, numRows * 3 * width);
  const shuffled = Array.from({ length: numBlocks * blockSize }, (_, slot) => ({ slot, order: tensors.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ slot }) => slot);
  const slots = shuffled.slice(0, numRows);
  const caches = [1, 2].map(async (part) => {
    const host = new HostKvCache({ format: kvFormat, numBlocks, numKvHeads, headDim, blockSize });
    for (const slot of shuffled) {
      for (let head = 0; head < numKvHeads; head++) host.write(slot, head, tensors.randomFloats('f32', headDim));
    }
    const tensor = await tensors.kvCache(host);
    for (const [row, slot] of slots.entries()) {
      for (let head = 0; head < numKvHeads; head++) {
        const source = row * 3 * width + part * width + head * headDim;
        host.write(slot, head, qkv.subarray(source, source + headDim));
      }
    }
    return { host, tensor };
  });
  const [k, v] = [await caches[0]!, await caches[1]!];
  const record = await bindKvWrite(device, {
    qkv: await tensors.floats(activations, [numRows, 3 * width], qkv),
    kColumn: width,
    vColumn: 2 * width,
    slots: await tensors.words([numRows], slots),
    kvFormat,
    kCache: k.tensor,
    vCache: v.tensor,
    numKvHeads,
    headDim,
    blockSize,
  });
  return {
    record: (pass) => record(pass, numRows),
    error: async () => Math.max(await kvErrorOf(device, k.tensor, k.host), await kvErrorOf(device, v.tensor, v.host)),
    maxError: MAX_KV_ERROR[kvFormat],
    close: tensors.close,
  };
};

export interface HadamardShape {
  readonly numRows: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly activations: FloatType;
}

/** Rows keep 4 columns before and 3 after the heads, which must stay. */
export const hadamardCheck = async (device: GpuDevice, shape: HadamardShape): Promise<KernelCheck> => {
  const { numRows, numHeads, headDim, activations } = shape;
  const tensors = new CheckTensors(device);
  const column = 4;
  const stride = column + numHeads * headDim + 3;
  const x = tensors.randomFloats(activations, numRows * stride);
  const expected = x.slice();
  const size = hadamardSize(headDim);
  for (let row = 0; row < numRows; row++) {
    for (let part = 0; part < (numHeads * headDim) / size; part++) {
      const first = row * stride + column + part * size;
      expected.set(reference.hadamard(x.subarray(first, first + size)), first);
    }
  }
  const xTensor = await tensors.floats(activations, [numRows, stride], x);
  const record = await bindHadamard(device, { x: xTensor, column, numHeads, headDim });
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, xTensor, expected),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};
