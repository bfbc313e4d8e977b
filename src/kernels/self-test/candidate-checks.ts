/** Checks of the kernels that choose among logits. */
import { bindArgmax } from '../argmax.ts';
import type { GpuDevice } from '../device.ts';
import { pickReduction, type Reduction } from '../reduction.ts';
import * as reference from '../reference.ts';
import { bindTopK, type TopKVariant } from '../top-k.ts';
import { CheckTensors, errorOf, type KernelCheck, wordErrorOf } from './kernel-check.ts';

export interface LogitShape {
  readonly numRows: number;
  readonly vocabularySize: number;
  /** Logits take only so many values, so that there are ties; absent: all differ. */
  readonly numValues?: number;
  /** Given logits instead of random ones, [numRows * vocabularySize]. */
  readonly logits?: ArrayLike<number>;
}

const makeLogits = (tensors: CheckTensors, shape: LogitShape): Float64Array => {
  const { numRows, vocabularySize, numValues } = shape;
  if (shape.logits) return Float64Array.from(shape.logits);
  const logits = tensors.randomFloats('f32', numRows * vocabularySize, 10);
  return numValues === undefined ? logits : logits.map((logit) => Math.floor(((logit + 10) / 20) * numValues));
};

const rowsOf = ({ numRows, vocabularySize }: LogitShape, logits: Float64Array): Float64Array[] =>
  Array.from({ length: numRows }, (_, row) => logits.subarray(row * vocabularySize, (row + 1) * vocabularySize));

export const argmaxCheck = async (
  device: GpuDevice,
  shape: LogitShape,
  reduction: Reduction = pickReduction(device),
): Promise<KernelCheck> => {
  const tensors = new CheckTensors(device);
  const logits = makeLogits(tensors, shape);
  const ids = await tensors.zeros('u32', [shape.numRows]);
  const logitTensor = await tensors.floats('f32', [shape.numRows, shape.vocabularySize], logits);
  const record = await bindArgmax(device, { logits: logitTensor, ids }, reduction);
  return {
    record: (pass) => record(pass, shape.numRows),
    error: () =>
      wordErrorOf(
        device,
        ids,
        rowsOf(shape, logits).map((row) =>
          row.some((logit) => logit > -1e30) ? reference.topK(row, 1)[0]! : 0xffffffff,
        ),
      ),
    maxError: 0,
    close: tensors.close,
  };
};

export const topKCheck = async (
  device: GpuDevice,
  shape: LogitShape & { readonly k: number },
  variant?: TopKVariant,
): Promise<KernelCheck> => {
  const { numRows, vocabularySize, k } = shape;
  const tensors = new CheckTensors(device);
  const logits = makeLogits(tensors, shape);
  const ids = await tensors.zeros('u32', [numRows, k]);
  const values = await tensors.zeros('f32', [numRows, k]);
  const logSumExp = await tensors.zeros('f32', [numRows]);
  const logitTensor = await tensors.floats('f32', [numRows, vocabularySize], logits);
  const record = await bindTopK(device, { logits: logitTensor, ids, values, logSumExp }, variant);
  return {
    record: (pass) => record(pass, numRows),
    error: async () => {
      const rows = rowsOf(shape, logits);
      const best = rows.map((row) => reference.topK(row, k));
      const filler = Math.max(0, k - vocabularySize);
      const wordError = await wordErrorOf(
        device,
        ids,
        best.flatMap((row) => [...row, ...new Array<number>(filler).fill(0xffffffff)]),
      );
      const bestLogits = best.flatMap((row, r) => [
        ...row.map((id) => (rows[r]![id]! > -1e30 ? rows[r]![id]! : -1e30)),
        ...new Array<number>(filler).fill(-1e30),
      ]);
      const sums = rows.map((row) => reference.logSumExp(row.filter((logit) => logit > -1e30)));
      return Math.max(
        wordError,
        await errorOf(device, values, bestLogits.map(Math.fround)),
        await errorOf(device, logSumExp, sums),
      );
    },
    maxError: 1e-11,
    close: tensors.close,
  };
};
