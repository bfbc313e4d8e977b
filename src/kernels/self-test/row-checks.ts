/** Checks of the kernels that work on rows of activations. */
import type { GpuDevice } from '../device.ts';
import { bindGlu, type GluActivation } from '../glu.ts';
import { bindHeadNorm } from '../head-norm.ts';
import { pickReduction, type Reduction } from '../reduction.ts';
import * as reference from '../reference.ts';
import { bindRmsNorm } from '../rms-norm.ts';
import { bindRope, ropeTable } from '../rope.ts';
import { bindSoftCap } from '../soft-cap.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, maxErrorOf } from './kernel-check.ts';

export interface RmsNormShape {
  readonly numRows: number;
  readonly dim: number;
  readonly activations: FloatType;
  /** Adds a delta of this type first. */
  readonly delta?: FloatType;
  /** Normalises the delta before it is added. */
  readonly normalizesDelta?: boolean;
  /** Normalises every second row only. */
  readonly hasRows?: boolean;
  readonly reduction?: Reduction;
}

export const rmsNormCheck = async (device: GpuDevice, shape: RmsNormShape): Promise<KernelCheck> => {
  const { numRows, dim, activations, delta: deltaType, hasRows = false } = shape;
  const tensors = new CheckTensors(device);
  const eps = 1e-5;
  const x = tensors.randomFloats('f32', numRows * dim);
  const weight = tensors.randomFloats('f32', dim);
  const delta = tensors.randomFloats(deltaType ?? 'f32', numRows * dim);
  const deltaWeight = shape.normalizesDelta ? tensors.randomFloats('f32', dim) : undefined;
  const added = deltaWeight ? reference.rmsNorm(delta, deltaWeight, eps) : delta;
  const sum = deltaType ? x.map((value, i) => value + added[i]!) : x;
  const rows = Array.from({ length: hasRows ? Math.ceil(numRows / 2) : 0 }, (_, i) => 2 * i);
  const all = reference.rmsNorm(sum, weight, eps);
  const expected = hasRows ? rows.flatMap((row) => [...all.subarray(row * dim, (row + 1) * dim)]) : all;
  const xTensor = await tensors.floats('f32', [numRows, dim], x);
  const y = await tensors.zeros(activations, [numRows, dim]);
  const record = await bindRmsNorm(
    device,
    {
      x: xTensor,
      weight: await tensors.floats('f32', [dim], weight),
      y,
      eps,
      ...(deltaType ? { delta: await tensors.floats(deltaType, [numRows, dim], delta) } : {}),
      ...(deltaWeight ? { deltaWeight: await tensors.floats('f32', [dim], deltaWeight) } : {}),
      ...(hasRows ? { rows: await tensors.words([rows.length], rows) } : {}),
    },
    shape.reduction ?? pickReduction(device),
  );
  return {
    record: (pass) => record(pass, hasRows ? rows.length : numRows),
    error: async () => {
      const residual = await errorOf(device, xTensor, hasRows ? x : sum);
      return Math.max(await errorOf(device, y, expected), residual);
    },
    maxError: maxErrorOf(activations, 'f32'),
    close: tensors.close,
  };
};

export interface HeadNormShape {
  readonly numRows: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly activations: FloatType;
  readonly reduction?: Reduction;
}

/** Rows keep a value head and 3 columns behind the key heads, which must stay. */
export const headNormCheck = async (device: GpuDevice, shape: HeadNormShape): Promise<KernelCheck> => {
  const { numRows, numHeads, numKvHeads, headDim, activations } = shape;
  const tensors = new CheckTensors(device);
  const eps = 1e-6;
  const stride = (numHeads + 2 * numKvHeads) * headDim + 3;
  const x = tensors.randomFloats(activations, numRows * stride);
  const weight = tensors.randomFloats('f32', 2 * headDim);
  const expected = x.slice();
  for (let row = 0; row < numRows; row++) {
    for (let head = 0; head < numHeads + numKvHeads; head++) {
      const at = row * stride + head * headDim;
      const ownWeight = head < numHeads ? weight.subarray(0, headDim) : weight.subarray(headDim);
      expected.set(reference.rmsNorm(x.subarray(at, at + headDim), ownWeight, eps), at);
    }
  }
  const xTensor = await tensors.floats(activations, [numRows, stride], x);
  const weightTensor = await tensors.floats('f32', [2, headDim], weight);
  const record = await bindHeadNorm(
    device,
    { x: xTensor, weight: weightTensor, numHeads, numKvHeads, headDim, eps },
    shape.reduction ?? pickReduction(device),
  );
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, xTensor, expected),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};

export interface SoftCapShape {
  readonly numRows: number;
  readonly dim: number;
  readonly cap: number;
}

export const softCapCheck = async (device: GpuDevice, { numRows, dim, cap }: SoftCapShape): Promise<KernelCheck> => {
  const tensors = new CheckTensors(device);
  const x = tensors.randomFloats('f32', numRows * dim, 100);
  const xTensor = await tensors.floats('f32', [numRows, dim], x);
  const record = await bindSoftCap(device, xTensor, cap);
  return {
    record: (pass) => record(pass, numRows),
    error: () =>
      errorOf(
        device,
        xTensor,
        x.map((value) => cap * Math.tanh(value / cap)),
      ),
    maxError: maxErrorOf('f32'),
    close: tensors.close,
  };
};

export interface RopeShape {
  readonly numRows: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly layout: 'interleaved' | 'half';
  readonly activations: FloatType;
}

/** Rows keep 4 columns before and 3 after the heads, which must stay. */
export const ropeCheck = async (device: GpuDevice, shape: RopeShape): Promise<KernelCheck> => {
  const { numRows, numHeads, headDim, rotaryDim, layout, activations } = shape;
  const tensors = new CheckTensors(device);
  const column = 4;
  const stride = column + numHeads * headDim + 3;
  const base = 10_000;
  const numPositions = 2048;
  const x = tensors.randomFloats(activations, numRows * stride);
  const positions = Array.from({ length: numRows }, () => Math.floor(tensors.random() * numPositions));
  const expected = x.slice();
  for (const [row, position] of positions.entries()) {
    for (let head = 0; head < numHeads; head++) {
      const at = row * stride + column + head * headDim;
      expected.set(reference.rotateHead(x.subarray(at, at + headDim), position, rotaryDim, base, layout), at);
    }
  }
  const table = ropeTable({ rotaryDim, numPositions, base });
  const xTensor = await tensors.floats(activations, [numRows, stride], x);
  const record = await bindRope(device, {
    x: xTensor,
    positions: await tensors.words([numRows], positions),
    table: await tensors.floats('f32', [numPositions, rotaryDim / 2, 2], table),
    column,
    numHeads,
    headDim,
    rotaryDim,
    layout,
  });
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, xTensor, expected),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};

export interface GluShape {
  readonly numRows: number;
  readonly dim: number;
  readonly activations: FloatType;
  /** `silu` when absent. */
  readonly activation?: GluActivation;
  /** Gates lie in [−size, size). */
  readonly size?: number;
}

export const gluCheck = async (device: GpuDevice, shape: GluShape): Promise<KernelCheck> => {
  const { numRows, dim, activations, activation = 'silu', size = 6 } = shape;
  const tensors = new CheckTensors(device);
  const gateUp = tensors.randomFloats(activations, numRows * 2 * dim, size);
  const y = await tensors.zeros(activations, [numRows, dim]);
  const record = await bindGlu(device, {
    gateUp: await tensors.floats(activations, [numRows, 2 * dim], gateUp),
    y,
    activation,
  });
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, y, reference.glu(gateUp, dim, activation)),
    maxError: maxErrorOf(activations),
    close: tensors.close,
  };
};
