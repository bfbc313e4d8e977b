/** Checks of matrix multiplication and embedding, for each weight format. */
import type { GpuDevice } from '../device.ts';
import { bindEmbedding } from '../embedding.ts';
import { bindMatmul } from '../matmul.ts';
import type { QuantFormat } from '../quant/quant-format.ts';
import { embedding, matmul } from '../reference.ts';
import { createWeightMatrix, destroyWeightMatrix, rowBytes, uploadRows } from '../weight-matrix.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, maxErrorOf } from './kernel-check.ts';

export interface MatmulShape {
  readonly format: QuantFormat;
  readonly numRows: number;
  readonly rows: number;
  readonly columns: number;
  readonly activations: FloatType;
}

/** Bytes whose every F16 or F32 is finite and below 1, whatever the format keeps where. */
const randomBytes = (tensors: CheckTensors, length: number): Uint8Array =>
  Uint8Array.from({ length }, () => Math.floor(tensors.random() * 0x3c) | (tensors.random() < 0.5 ? 0x80 : 0));

const makeMatrix = async (tensors: CheckTensors, { format, rows, columns }: MatmulShape) => {
  const bytes = randomBytes(tensors, rows * rowBytes(format, columns));
  const values = new Float32Array(rows * columns);
  format.dequantize(bytes, values);
  const weight = await createWeightMatrix(tensors.device, format, rows, columns, `${format.name} weights`);
  await uploadRows(tensors.device, weight, 0, bytes);
  return { weight, values };
};

export const matmulCheck = async (device: GpuDevice, shape: MatmulShape): Promise<KernelCheck> => {
  const { numRows, rows, columns, activations } = shape;
  const tensors = new CheckTensors(device);
  const { weight, values } = await makeMatrix(tensors, shape);
  const x = tensors.randomFloats(activations, numRows * columns);
  const y = await tensors.zeros('f32', [numRows, rows]);
  const record = await bindMatmul(device, { x: await tensors.floats(activations, [numRows, columns], x), weight, y });
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, y, matmul(x, values, numRows, rows, columns)),
    maxError: maxErrorOf('f32'),
    close: () => {
      destroyWeightMatrix(device, weight);
      tensors.close();
    },
  };
};

export const embeddingCheck = async (
  device: GpuDevice,
  shape: Omit<MatmulShape, 'activations'>,
): Promise<KernelCheck> => {
  const { numRows, rows, columns } = shape;
  const tensors = new CheckTensors(device);
  const { weight, values } = await makeMatrix(tensors, { ...shape, activations: 'f32' });
  const ids = Array.from({ length: numRows }, () => Math.floor(tensors.random() * rows));
  const y = await tensors.zeros('f32', [numRows, columns]);
  const record = await bindEmbedding(device, { weight, tokenIds: await tensors.words([numRows], ids), y });
  return {
    record: (pass) => record(pass, numRows),
    error: () => errorOf(device, y, embedding(values, ids, rows, columns)),
    maxError: maxErrorOf('f32'),
    close: () => {
      destroyWeightMatrix(device, weight);
      tensors.close();
    },
  };
};
