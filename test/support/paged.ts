/** Random sequences with their K and V in a paged cache whose blocks are dealt out shuffled. */
import type { GpuDevice } from '../../src/kernels/device.ts';
import { halfToFloat } from '../../src/kernels/quant/quant-format.ts';
import { attend } from '../../src/kernels/reference.ts';
import type { Tensor } from '../../src/kernels/tensor.ts';
import { floatToHalf, uploadFloats, uploadWords } from '../../src/kernels/transfer.ts';
import { seededRandom } from './random-weights.ts';

export interface PagedShape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly blockSize: number;
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: 'f32' | 'f16';
  /** One entry a sequence: keys in the cache, and how many of the last ones are queries of this batch. */
  readonly sequences: readonly { readonly numKeys: number; readonly numQueries: number }[];
}

export interface PagedCase {
  readonly q: Tensor;
  readonly qColumn: number;
  readonly kCache: Tensor;
  readonly vCache: Tensor;
  readonly contextLengths: Tensor;
  readonly blockTableStarts: Tensor;
  readonly blockTables: Tensor;
  readonly positions: Tensor;
  /** [rows, numHeads * headDim] */
  readonly expected: Float64Array;
  readonly numRows: number;
  /** First batch row of each sequence. */
  readonly firstRows: readonly number[];
}

const rounded = (values: Float64Array, type: 'f32' | 'f16'): Float64Array =>
  values.map((value) => (type === 'f16' ? halfToFloat(floatToHalf(value)) : Math.fround(value)));

/** Lays out the batch as the engine would, with 8 columns of other values before the queries in each row. */
export const pagedCase = async (device: GpuDevice, shape: PagedShape, seed = 1): Promise<PagedCase> => {
  const { numHeads, numKvHeads, headDim, blockSize, sequences, activations, kvFormat } = shape;
  const random = seededRandom(seed);
  const randoms = (length: number) => Float64Array.from({ length }, () => random() * 4 - 2);
  const qColumn = 8;
  const stride = qColumn + numHeads * headDim;
  const numRows = sequences.reduce((sum, { numQueries }) => sum + numQueries, 0);
  const tables = sequences.map(({ numKeys }) => Math.ceil(numKeys / blockSize));
  const numBlocks = tables.reduce((sum, length) => sum + length, 1);
  const deck = Array.from({ length: numBlocks }, (_, block) => block).sort(() => random() - 0.5);
  const q = rounded(randoms(numRows * stride), activations);
  // Unused slots hold large values: whoever reads them is found out.
  const cache = () => new Float64Array(numBlocks * numKvHeads * blockSize * headDim).fill(1e4);
  const [kCache, vCache] = [cache(), cache()];
  const [starts, blocks, positions, firstRows]: number[][] = [[], [], [], []] as number[][] as [
    number[],
    number[],
    number[],
    number[],
  ];
  const expected = new Float64Array(numRows * numHeads * headDim);
  let row = 0;
  for (const [s, { numKeys, numQueries }] of sequences.entries()) {
    const table = deck.splice(0, tables[s]!);
    starts!.push(blocks!.length);
    blocks!.push(...table);
    firstRows!.push(row);
    const [keys, values] = [kCache, vCache].map((target) =>
      Array.from({ length: numKvHeads }, (_, head) =>
        Array.from({ length: numKeys }, (_, key) => {
          const vector = rounded(randoms(headDim), kvFormat);
          const block = table[Math.floor(key / blockSize)]!;
          target.set(vector, ((block * numKvHeads + head) * blockSize + (key % blockSize)) * headDim);
          return vector;
        }),
      ),
    ) as [Float64Array[][], Float64Array[][]];
    for (let position = numKeys - numQueries; position < numKeys; position++, row++) {
      positions!.push(position);
      for (let head = 0; head < numHeads; head++) {
        const kvHead = Math.floor(head / (numHeads / numKvHeads));
        const query = q.subarray(row * stride + qColumn + head * headDim).subarray(0, headDim);
        const seen = position + 1;
        const y = attend(query, keys[kvHead]!.slice(0, seen), values[kvHead]!.slice(0, seen), 1 / Math.sqrt(headDim));
        expected.set(y, (row * numHeads + head) * headDim);
      }
    }
  }
  const cacheShape = [numBlocks, numKvHeads, blockSize, headDim];
  return {
    q: await uploadFloats(device, activations, [numRows, stride], q),
    qColumn,
    kCache: await uploadFloats(device, kvFormat, cacheShape, kCache),
    vCache: await uploadFloats(device, kvFormat, cacheShape, vCache),
    contextLengths: await uploadWords(
      device,
      [sequences.length],
      sequences.map(({ numKeys }) => numKeys),
    ),
    blockTableStarts: await uploadWords(device, [sequences.length], starts!),
    blockTables: await uploadWords(device, [blocks!.length], blocks!),
    positions: await uploadWords(device, [numRows], positions!),
    expected,
    numRows,
    firstRows: firstRows!,
  };
};
