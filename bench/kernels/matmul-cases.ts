/** Matrix products of real shapes for the GEMV and GEMM benches. */
import type { GpuDevice } from '../../src/kernels/device.ts';
import { bindMatmul } from '../../src/kernels/matmul.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import type { QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import { matmul, nmse } from '../../src/kernels/reference.ts';
import { createTensor, uploadTensor } from '../../src/kernels/tensor.ts';
import { createWeightMatrix, destroyWeightMatrix, rowBytes, uploadRows } from '../../src/kernels/weight-matrix.ts';
import { randomFloats, randomRows, seededRandom } from '../../test/support/random-weights.ts';
import type { KernelCase, KernelCases } from './bench.ts';

/** N × K of a 15 M-parameter Llama (output, QKV, gate and up, down) and of an 8 B one on GPUs. */
const SMALL = [
  [32_000, 288],
  [864, 288],
  [1536, 288],
  [288, 768],
] as const;
const LARGE = [
  [6144, 4096],
  [28_672, 4096],
  [4096, 14_336],
] as const;
/** The float64 reference checks this many outputs of each token at either end of N. */
const CHECKED_ROWS = 64;

/** Cases for every format and shape with each number of token rows. */
export const matmulCases = (kernel: string, tokens: readonly number[]): KernelCases =>
  async function* cases(device, accepts) {
    for (const format of QUANT_FORMATS) {
      for (const [rows, columns] of device.isSoftware ? SMALL : LARGE) {
        for (const numTokens of tokens) {
          const name = `${kernel} ${format.name} ${numTokens} × ${rows} × ${columns}`;
          if (columns % format.blockLength === 0 && accepts(name))
            yield matmulCase(device, name, format, rows, columns, numTokens);
        }
      }
    }
  };

const matmulCase = async (
  device: GpuDevice,
  name: string,
  format: QuantFormat,
  rows: number,
  columns: number,
  numTokens: number,
): Promise<KernelCase> => {
  const random = seededRandom(rows + columns + numTokens);
  const bytes = randomRows(format, rows, columns, random);
  const activations = randomFloats(numTokens * columns, random);
  const weight = await createWeightMatrix(device, format, rows, columns, name);
  await uploadRows(device, weight, 0, bytes);
  const x = await uploadTensor(device, 'f32', [numTokens, columns], activations, 'x');
  const y = await createTensor(device, 'f32', [numTokens, rows], 'y');
  const record = await bindMatmul(device, { x, weight, y });
  return {
    name,
    bytes: bytes.length + 4 * numTokens * (rows + columns),
    flops: 2 * numTokens * rows * columns,
    record: (pass) => record(pass, numTokens),
    maxError: 1e-6,
    async error() {
      const actual = new Float32Array(await device.read(y.buffer, 0, 4 * numTokens * rows));
      const errors = [0, rows - CHECKED_ROWS].map((first) => {
        const values = new Float32Array(CHECKED_ROWS * columns);
        const start = first * rowBytes(format, columns);
        format.dequantize(bytes.subarray(start, start + CHECKED_ROWS * rowBytes(format, columns)), values);
        const part = Array.from({ length: numTokens }, (_, t) =>
          actual.subarray(t * rows + first, t * rows + first + CHECKED_ROWS),
        );
        return nmse(
          part.flatMap((row) => [...row]),
          matmul(activations, values, numTokens, CHECKED_ROWS, columns),
        );
      });
      return Math.max(...errors);
    },
    close() {
      destroyWeightMatrix(device, weight);
      device.destroyBuffer(x.buffer);
      device.destroyBuffer(y.buffer);
    },
  };
};
