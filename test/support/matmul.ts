/** Runs matrix products and gathers on a device, beside their float64 references. */
import { expect } from 'vitest';
import type { GpuDevice } from '../../src/kernels/device.ts';
import { bindEmbedding } from '../../src/kernels/embedding.ts';
import { bindMatmul } from '../../src/kernels/matmul.ts';
import { halfToFloat, type QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import { embedding, expertRoutes, matmul, nmse } from '../../src/kernels/reference.ts';
import { createTensor, type Tensor, uploadTensor } from '../../src/kernels/tensor.ts';
import { submitPass } from '../../src/kernels/transfer.ts';
import type { MatmulKind } from '../../src/kernels/tuning.ts';
import {
  createWeightMatrix,
  destroyWeightMatrix,
  uploadRows,
  type WeightMatrix,
} from '../../src/kernels/weight-matrix.ts';
import { randomFloats, randomHalves, randomRows, seededRandom } from './random-weights.ts';

/** What y holds where nothing was written. */
export const UNTOUCHED = 12_345;

export interface Product {
  readonly format: QuantFormat;
  readonly rows: number;
  readonly columns: number;
  /** Each is run on its own, from one binding. */
  readonly numTokens: readonly number[];
  readonly kind?: MatmulKind;
  readonly activations?: 'f32' | 'f16';
  readonly outputs?: 'f32' | 'f16';
  readonly yColumn?: number;
  readonly hasBias?: boolean;
  readonly maxShardBytes?: number;
}

export interface Compared {
  readonly actual: Float64Array;
  readonly expected: Float64Array;
  /** Elements of y outside the product, in order. */
  readonly outside: Float64Array;
}

/** A matrix of random GGUF rows, and its weights as the format's own decoding gives them. */
export const randomMatrix = async (
  device: GpuDevice,
  format: QuantFormat,
  rows: number,
  columns: number,
  maxShardBytes?: number,
): Promise<{ weight: WeightMatrix; bytes: Uint8Array; values: Float32Array }> => {
  const bytes = randomRows(format, rows, columns, seededRandom(rows * 31 + columns));
  const values = new Float32Array(rows * columns);
  format.dequantize(bytes, values);
  const options = maxShardBytes === undefined ? {} : { maxShardBytes };
  const weight = await createWeightMatrix(
    device,
    format,
    rows,
    columns,
    `${format.name} ${rows} × ${columns}`,
    options,
  );
  await uploadRows(device, weight, 0, bytes);
  return { weight, bytes, values };
};

export const readFloats = async (device: GpuDevice, tensor: Tensor): Promise<Float32Array> => {
  const bytes = await device.read(tensor.buffer);
  return tensor.type === 'f16' ? Float32Array.from(new Uint16Array(bytes), halfToFloat) : new Float32Array(bytes);
};

/** The product with each number of tokens, and what it should be. */
export const multiply = async (device: GpuDevice, product: Product): Promise<Compared[]> => {
  const { format, rows, columns, numTokens, activations = 'f32', outputs = 'f32', yColumn = 0 } = product;
  const maxTokens = Math.max(1, ...numTokens);
  const stride = yColumn + rows + 1;
  const { weight, values } = await randomMatrix(device, format, rows, columns, product.maxShardBytes);
  const random = seededRandom(columns);
  const halves = randomHalves(maxTokens * columns, random);
  const xValues = activations === 'f16' ? halves.values : randomFloats(maxTokens * columns, random);
  const x = await uploadTensor(
    device,
    activations,
    [maxTokens, columns],
    activations === 'f16' ? halves.bits : xValues,
    'x',
  );
  const y = await createTensor(device, outputs, [maxTokens, stride], 'y');
  const biasValues = randomFloats(stride, random);
  const bias = product.hasBias ? await uploadTensor(device, 'f32', [stride], biasValues, 'bias') : undefined;
  const tensors = { x, weight, y, yColumn, ...(bias ? { bias } : {}) };
  const record = await bindMatmul(device, tensors, product.kind ? { kind: product.kind } : {});
  const results: Compared[] = [];
  for (const count of numTokens) {
    const blank =
      outputs === 'f16' ? new Uint16Array(y.byteLength / 2) : new Float32Array(y.byteLength / 4).fill(UNTOUCHED);
    device.device.queue.writeBuffer(y.buffer, 0, blank);
    submitPass(device, (pass) => record(pass, count));
    const all = (await readFloats(device, y)).subarray(0, maxTokens * stride);
    const isInside = (i: number) => i < count * stride && i % stride >= yColumn && i % stride < yColumn + rows;
    results.push({
      actual: Float64Array.from(all.filter((_, i) => isInside(i))),
      outside: Float64Array.from(all.filter((_, i) => !isInside(i))),
      expected: matmul(xValues, values, count, rows, columns).map(
        (sum, i) => sum + (bias ? biasValues[yColumn + (i % rows)]! : 0),
      ),
    });
  }
  destroyWeightMatrix(device, weight);
  device.destroyBuffer(x.buffer);
  device.destroyBuffer(y.buffer);
  if (bias) device.destroyBuffer(bias.buffer);
  return results;
};

/** Gathers `ids` from a random matrix, and what it should give. */
export const gather = async (
  device: GpuDevice,
  matrix: { format: QuantFormat; rows: number; columns: number; maxShardBytes?: number },
  ids: readonly number[],
  scale?: number,
): Promise<{ actual: Float32Array; expected: Float64Array; numShards: number }> => {
  const { format, rows, columns } = matrix;
  const { weight, values } = await randomMatrix(device, format, rows, columns, matrix.maxShardBytes);
  const tokenIds = await uploadTensor(device, 'u32', [ids.length], Uint32Array.from(ids), 'token ids');
  const y = await uploadTensor(
    device,
    'f32',
    [ids.length, columns],
    new Float32Array(ids.length * columns).fill(UNTOUCHED),
    'y',
  );
  const record = await bindEmbedding(device, { weight, tokenIds, y, ...(scale === undefined ? {} : { scale }) });
  submitPass(device, (pass) => record(pass, ids.length));
  const actual = (await readFloats(device, y)).subarray(0, ids.length * columns);
  for (const tensor of [tokenIds, y]) device.destroyBuffer(tensor.buffer);
  destroyWeightMatrix(device, weight);
  return { actual, expected: embedding(values, ids, rows, columns, scale), numShards: weight.shards.length };
};

/** Every product is its float64 reference but for the rounding of F32 sums. */
export const expectProduct = async (device: GpuDevice, product: Product): Promise<void> => {
  for (const { actual, expected } of await multiply(device, product)) {
    expect(nmse(actual, expected)).toBeLessThan(1e-10);
  }
};

export interface RoutedProduct {
  readonly format: QuantFormat;
  readonly numExperts: number;
  readonly expertsPerToken: number;
  /** Of one expert. */
  readonly outputs: number;
  readonly columns: number;
  readonly numTokens: readonly number[];
  readonly xRows: 'per-token' | 'per-expert';
  readonly hasBias: boolean;
  readonly kind: MatmulKind;
  readonly maxShardBytes?: number;
}

const Y_COLUMN = 3;

/** Every row of y is the float64 product with the weights of the expert it was dealt to; the last expert gets none. */
export const expectRoutedProduct = async (device: GpuDevice, product: RoutedProduct): Promise<void> => {
  const { format, numExperts, expertsPerToken, outputs, columns, numTokens, xRows, kind } = product;
  const { weight, values } = await randomMatrix(device, format, numExperts * outputs, columns, product.maxShardBytes);
  const random = seededRandom(columns);
  const biasValues = randomFloats(numExperts * outputs, random);
  const bias = await uploadTensor(device, 'f32', [numExperts * outputs], biasValues, 'bias');
  for (const count of numTokens) {
    const numRows = count * expertsPerToken;
    const numX = xRows === 'per-token' ? count : numRows;
    const xValues = randomFloats(numX * columns, random);
    const experts = Array.from({ length: numRows }, () => Math.floor(random() * (numExperts - 1)));
    const routed = Uint32Array.from(expertRoutes(experts, numExperts));
    const x = await uploadTensor(device, 'f32', [numX, columns], xValues, 'x');
    const routes = await uploadTensor(device, 'u32', [routed.length], routed, 'routes');
    const y = await createTensor(device, 'f32', [numRows, Y_COLUMN + outputs], 'y');
    const routing = { routes, numExperts, expertsPerToken, xRows };
    const tensors = { x, weight, y, yColumn: Y_COLUMN, routing, ...(product.hasBias ? { bias } : {}) };
    const record = await bindMatmul(device, tensors, { kind });
    submitPass(device, (pass) => record(pass, count));
    const actual = (await readFloats(device, y)).filter((_, i) => i % (Y_COLUMN + outputs) >= Y_COLUMN);
    const expected = experts.flatMap((expert, row) => {
      const from = xRows === 'per-token' ? Math.floor(row / expertsPerToken) : row;
      const own = values.subarray(expert * outputs * columns, (expert + 1) * outputs * columns);
      const sums = matmul(xValues.subarray(from * columns, (from + 1) * columns), own, 1, outputs, columns);
      return [...sums].map((sum, n) => sum + (product.hasBias ? biasValues[expert * outputs + n]! : 0));
    });
    expect(nmse(actual.subarray(0, expected.length), expected)).toBeLessThan(1e-10);
    for (const tensor of [x, routes, y]) device.destroyBuffer(tensor.buffer);
  }
  destroyWeightMatrix(device, weight);
  device.destroyBuffer(bias.buffer);
};
