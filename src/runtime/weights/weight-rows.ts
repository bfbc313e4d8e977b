/** A model's weights decoded on the CPU, some rows at a time: for the plain forward passes that others are held against. */
import { quantFormatOf } from '../../kernels/quant/index.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile } from './model-file.ts';

/** Weights decoded at a time. */
const WEIGHTS_PER_READ = 4 * 1024 * 1024;

/** Keeps nothing, so that any model's fit. @throws EngineError model_file_invalid, model_unsupported */
export class WeightRows {
  readonly #file: ModelFile;

  constructor(file: ModelFile) {
    this.#file = file;
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  /** `count` rows of a tensor. */
  async rows(name: string, firstRow: number, count: number): Promise<Float32Array> {
    const tensor = this.#file.tensor(name);
    const format = quantFormatOf(tensor.type);
    if (!format) throw new EngineError('model_unsupported', `${this.#file.path}: tensor ${name} is ${tensor.type}`);
    const rowBytes = tensor.byteLength / tensor.rows;
    const values = new Float32Array(count * tensor.columns);
    format.dequantize(await this.#file.readTensor(tensor, firstRow * rowBytes, count * rowBytes), values);
    return tensor.addend === undefined ? values : values.map((value) => value + tensor.addend!);
  }

  /** The whole of a small tensor. */
  all(name: string): Promise<Float32Array> {
    return this.rows(name, 0, this.#file.tensor(name).rows);
  }

  /** weight · x + bias, for rows `firstRow` … of the weight; all of them when `count` is absent. */
  async product(
    name: string,
    x: readonly Float64Array[],
    firstRow = 0,
    count = this.#file.tensor(name).rows,
  ): Promise<Float64Array[]> {
    const { columns } = this.#file.tensor(name);
    const biasName = name.replace(/weight$/, 'bias');
    const bias = this.has(biasName) ? await this.all(biasName) : undefined;
    const y = x.map(() => new Float64Array(count));
    const rowsPerRead = Math.max(1, Math.floor(WEIGHTS_PER_READ / columns));
    for (let row = 0; row < count; row += rowsPerRead) {
      const numRows = Math.min(rowsPerRead, count - row);
      const weights = await this.rows(name, firstRow + row, numRows);
      for (const [token, vector] of x.entries()) {
        for (let n = 0; n < numRows; n++) {
          let sum = bias?.[firstRow + row + n] ?? 0;
          for (let k = 0; k < columns; k++) sum += weights[n * columns + k]! * vector[k]!;
          y[token]![row + n] = sum;
        }
      }
    }
    return y;
  }
}
