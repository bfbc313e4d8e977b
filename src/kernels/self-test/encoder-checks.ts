/** Checks of the kernels that encoders have beyond a decoder's. */
import { bindAttentionPacked } from '../attention-packed.ts';
import type { GpuDevice } from '../device.ts';
import { bindGelu } from '../gelu.ts';
import { bindLayerNorm } from '../layer-norm.ts';
import { bindPooling } from '../pooling.ts';
import { pickReduction, type Reduction } from '../reduction.ts';
import * as reference from '../reference.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, maxErrorOf } from './kernel-check.ts';

export interface LayerNormShape {
  readonly numRows: number;
  readonly dim: number;
  readonly activations: FloatType;
  /** Adds a delta of this type first. */
  readonly delta?: FloatType;
  /** Adds a vector to every row first. */
  readonly hasShift?: boolean;
  readonly reduction?: Reduction;
}

export const layerNormCheck = async (device: GpuDevice, shape: LayerNormShape): Promise<KernelCheck> => {
  const { numRows, dim, activations, delta: deltaType, hasShift = false } = shape;
  const tensors = new CheckTensors(device);
  const eps = 1e-5;
  const x = tensors.randomFloats('f32', numRows * dim);
  const weight = tensors.randomFloats('f32', dim);
  const bias = tensors.randomFloats('f32', dim);
  const delta = tensors.randomFloats(deltaType ?? 'f32', numRows * dim);
  const shift = tensors.randomFloats('f32', dim);
  const sum = x.map((value, i) => value + (deltaType ? delta[i]! : 0) + (hasShift ? shift[i % dim]! : 0));
  const expected = reference.layerNorm(sum, weight, bias, eps);
  const xTensor = await tensors.floats('f32', [numRows, dim], x);
  const y = await tensors.zeros(activations, [numRows, dim]);
  const record = await bindLayerNorm(
    device,
    {
      x: xTensor,
      weight: await tensors.floats('f32', [dim], weight),
      bias: await tensors.floats('f32', [dim], bias),
      y,
      eps,
      ...(deltaType ? { delta: await tensors.floats(deltaType, [numRows, dim], delta) } : {}),
      ...(hasShift ? { shift: await tensors.floats('f32', [dim], shift) } : {}),
    },
    shape.reduction ?? pickReduction(device),
  );
  return {
    record: (pass) => record(pass, numRows),
    error: async () => Math.max(await errorOf(device, y, expected), await errorOf(device, xTensor, expected)),
    maxError: maxErrorOf(activations, 'f32'),
    close: tensors.close,
  };
};

export interface GeluShape {
  readonly numRows: number;
  readonly dim: number;
  readonly activations: FloatType;
  /** Inputs lie in [−size, size). */
  readonly size?: number;
}

export const geluCheck = async (device: GpuDevice, shape: GeluShape): Promise<KernelCheck> => {
  const { numRows, dim, activations, size = 4 } = shape;
  const tensors = new CheckTensors(device);
  const x = tensors.randomFloats(activations, numRows * dim, size);
  const xTensor = await tensors.floats(activations, [numRows, dim], x);
  const record = await bindGelu(device, xTensor);
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, xTensor, x.map(reference.gelu)),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};

export interface AttentionPackedShape {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  readonly numHeads: number;
  readonly headDim: number;
  readonly activations: FloatType;
  /** Absent: as suits the device. */
  readonly loops?: 'unrolled' | 'rolled';
}

/** Where each sequence of a batch begins. */
const startsOf = (lengths: readonly number[]): number[] =>
  lengths.map((_, index) => lengths.slice(0, index).reduce((sum, length) => sum + length, 0));

export const attentionPackedCheck = async (device: GpuDevice, shape: AttentionPackedShape): Promise<KernelCheck> => {
  const { lengths, numHeads, headDim, activations } = shape;
  const tensors = new CheckTensors(device);
  const starts = startsOf(lengths);
  const numRows = lengths.reduce((sum, length) => sum + length, 0);
  const width = numHeads * headDim;
  const qkv = tensors.randomFloats(activations, numRows * 3 * width);
  const expected = new Float64Array(numRows * width);
  const spans: number[] = [];
  for (const [sequence, length] of lengths.entries()) {
    const first = starts[sequence]!;
    const rows = Array.from({ length }, (_, i) => first + i);
    for (const row of rows) {
      spans.push(first, first + length);
      for (let head = 0; head < numHeads; head++) {
        const at = (of: number, part: number) => (of * 3 + part) * width + head * headDim;
        const part = (of: number, which: number) => qkv.subarray(at(of, which), at(of, which) + headDim);
        const keys = rows.map((key) => part(key, 1));
        const values = rows.map((key) => part(key, 2));
        const y = reference.attend(part(row, 0), keys, values, 1 / Math.sqrt(headDim));
        expected.set(y, row * width + head * headDim);
      }
    }
  }
  const y = await tensors.zeros(activations, [numRows, width]);
  const qkvTensor = await tensors.floats(activations, [numRows, 3 * width], qkv);
  const spansTensor = await tensors.words([numRows, 2], spans);
  const bound = { qkv: qkvTensor, spans: spansTensor, y, numHeads, headDim };
  const record = await bindAttentionPacked(device, bound, shape.loops);
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, y, expected),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};

export interface PoolingShape {
  /** Rows of each segment. */
  readonly lengths: readonly number[];
  readonly dim: number;
  readonly activations: FloatType;
}

export const poolingCheck = async (device: GpuDevice, shape: PoolingShape): Promise<KernelCheck> => {
  const { lengths, dim, activations } = shape;
  const tensors = new CheckTensors(device);
  const starts = startsOf(lengths);
  const numRows = lengths.reduce((sum, length) => sum + length, 0);
  const x = tensors.randomFloats(activations, numRows * dim);
  const expected = lengths.flatMap((length, segment) =>
    Array.from({ length: dim }, (_, column) => {
      let sum = 0;
      for (let row = starts[segment]!; row < starts[segment]! + length; row++) sum += x[row * dim + column]!;
      return sum;
    }),
  );
  const y = await tensors.zeros('f32', [lengths.length, dim]);
  const segments = lengths.flatMap((length, segment) => [starts[segment]!, length]);
  const record = await bindPooling(device, {
    x: await tensors.floats(activations, [numRows, dim], x),
    segments: await tensors.words([lengths.length, 2], segments),
    y,
  });
  return {
    record: (pass) => record(pass, lengths.length),
    error: () => errorOf(device, y, expected),
    maxError: maxErrorOf('f32'),
    close: tensors.close,
  };
};
