/** Streams a model file's tensors to the device, in the kernels' layout. */
import type { GpuDevice } from '../../kernels/device.ts';
import { QUANT_FORMATS, quantFormatOf } from '../../kernels/quant/index.ts';
import type { QuantFormat } from '../../kernels/quant/quant-format.ts';
import { type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import { createWeightMatrix, uploadRows, type WeightMatrix } from '../../kernels/weight-matrix.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile, ModelTensor } from './model-file.ts';

/** Bytes read from the file at a time: what bounds host memory while loading. */
const CHUNK_BYTES = 8 * 1024 * 1024;

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Where an architecture gets its weights from. Tensors live as long as the device. */
export interface WeightLoader {
  has(name: string): boolean;
  /** @throws EngineError model_file_invalid when absent, model_unsupported when no kernel reads its format */
  formatOf(name: string): QuantFormat;
  /**
   * One matrix of the tensors' rows under each other; all of one format, `columns` wide.
   * @throws EngineError model_file_invalid when a tensor is absent or of another shape; out_of_memory
   */
  matrix(tensors: readonly { readonly name: string; readonly rows: number }[], columns: number): Promise<WeightMatrix>;
  /** A vector as f32 [length] on the device. @throws as `matrix` */
  vector(name: string, length: number): Promise<Tensor>;
  /** The values of a vector, or of a matrix with as many weights, on the host. @throws as `matrix` */
  values(name: string, length: number): Promise<Float32Array>;
}

export class ModelWeights implements WeightLoader {
  readonly #device: GpuDevice;
  readonly #file: ModelFile;
  readonly #onProgress: ((progress: LoadProgress) => void) | undefined;
  readonly #unread: Set<string>;
  readonly #totalBytes: number;
  #loadedBytes = 0;

  constructor(device: GpuDevice, file: ModelFile, onProgress?: (progress: LoadProgress) => void) {
    this.#device = device;
    this.#file = file;
    this.#onProgress = onProgress;
    this.#unread = new Set(file.tensors.keys());
    this.#totalBytes = [...file.tensors.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  formatOf(name: string): QuantFormat {
    const { type } = this.#file.tensor(name);
    const format = quantFormatOf(type);
    if (format) return format;
    const supported = QUANT_FORMATS.map((known) => known.ggmlType).join(', ');
    throw new EngineError(
      'model_unsupported',
      `${this.#file.path}: tensor ${name} is ${type}; supported weight formats: ${supported}`,
    );
  }

  async matrix(tensors: readonly { name: string; rows: number }[], columns: number): Promise<WeightMatrix> {
    const names = tensors.map(({ name }) => name);
    for (const { name, rows } of tensors) this.#checkShape(this.#file.tensor(name), rows, columns);
    const format = this.formatOf(names[0]!);
    const numRows = tensors.reduce((sum, tensor) => sum + tensor.rows, 0);
    const matrix = await createWeightMatrix(this.#device, format, numRows, columns, names.join(' + '));
    let rowStart = 0;
    for (const { name, rows } of tensors) {
      await this.#upload(matrix, rowStart, this.#file.tensor(name));
      rowStart += rows;
    }
    return matrix;
  }

  async vector(name: string, length: number): Promise<Tensor> {
    return uploadTensor(this.#device, 'f32', [length], await this.values(name, length), name);
  }

  async values(name: string, length: number): Promise<Float32Array<ArrayBuffer>> {
    const tensor = this.#file.tensor(name);
    this.#checkShape(tensor, length / tensor.columns, tensor.columns);
    const values = new Float32Array(length);
    this.formatOf(name).dequantize(await this.#file.readTensor(tensor), values);
    const { addend } = tensor;
    if (addend !== undefined) for (const [i, value] of values.entries()) values[i] = value + addend;
    this.#consumed(tensor, tensor.byteLength);
    return values;
  }

  /**
   * A tensor nobody asked for means a model that this forward pass does not compute: say so rather than answer wrongly.
   * @throws EngineError model_unsupported
   */
  requireAllRead(except: readonly string[] = []): void {
    const names = [...this.#unread].filter((name) => !except.includes(name));
    if (names.length === 0) return;
    const shown = names.slice(0, 3).join(', ');
    throw new EngineError(
      'model_unsupported',
      `${this.#file.path}: ${names.length} tensors have no place in this architecture: ${shown}${names.length > 3 ? ', …' : ''}`,
    );
  }

  #checkShape(tensor: ModelTensor, rows: number, columns: number): void {
    if (tensor.rows === rows && tensor.columns === columns) return;
    throw new EngineError(
      'model_file_invalid',
      `${this.#file.path}: tensor ${tensor.name} is ${tensor.rows} × ${tensor.columns}, the metadata asks for ${rows} × ${columns}`,
    );
  }

  async #upload(matrix: WeightMatrix, rowStart: number, tensor: ModelTensor): Promise<void> {
    const rowBytes = tensor.byteLength / tensor.rows;
    const rowsPerChunk = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
    for (let row = 0; row < tensor.rows; row += rowsPerChunk) {
      const rows = Math.min(rowsPerChunk, tensor.rows - row);
      const bytes = await this.#file.readTensor(tensor, row * rowBytes, rows * rowBytes);
      await uploadRows(this.#device, matrix, rowStart + row, bytes);
      this.#consumed(tensor, bytes.byteLength);
    }
  }

  #consumed(tensor: ModelTensor, byteLength: number): void {
    this.#unread.delete(tensor.name);
    this.#loadedBytes += byteLength;
    this.#onProgress?.({ loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes });
  }
}
