/** Streams a model file's tensors to the device, in the kernels' layout. */
import type { GpuDevice } from '../../kernels/device.ts';
import { QUANT_FORMATS, quantFormatOf } from '../../kernels/quant/index.ts';
import type { QuantFormat } from '../../kernels/quant/quant-format.ts';
import { type Tensor, uploadTensor } from '../../kernels/tensor.ts';
import {
  createWeightMatrix,
  destroyUploadStaging,
  uploadRows,
  type WeightMatrix,
} from '../../kernels/weight-matrix.ts';
import type { LoadProgress } from '../create-engine-options.ts';
import { EngineError } from '../errors.ts';
import type { ModelFile, ModelTensor } from './model-file.ts';

/** Bytes read from the file at a time: what bounds host memory while loading. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Where an architecture gets its weights from. Tensors live as long as the device. */
export interface WeightLoader {
  has(name: string): boolean;
  /** Rows of a tensor. @throws EngineError model_file_invalid when absent */
  rowsOf(name: string): number;
  /**
   * The format that a matrix has on the device.
   * @throws EngineError model_file_invalid when absent, model_unsupported when no kernel reads its format
   */
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

/** Types whose weights may be converted while loading: nothing is lost twice. */
const UNQUANTIZED = new Set(['F32', 'F16', 'BF16']);
/** Matrices that stay as they are: a router's rounding would send tokens elsewhere. */
const KEPT = /ffn_gate_inp/;

export interface WeightOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Converts matrices of unquantized weights, where rows are whole blocks of it. It must have `quantize`. */
  readonly quantizeTo?: QuantFormat;
}

export class ModelWeights implements WeightLoader {
  readonly #device: GpuDevice;
  readonly #file: ModelFile;
  readonly #onProgress: ((progress: LoadProgress) => void) | undefined;
  readonly #quantizeTo: QuantFormat | undefined;
  readonly #unread: Set<string>;
  readonly #totalBytes: number;
  /** Chunks are read into it one after the other: fresh memory costs more than the copy from the page cache. */
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #loadedBytes = 0;

  constructor(device: GpuDevice, file: ModelFile, { onProgress, quantizeTo }: WeightOptions = {}) {
    this.#device = device;
    this.#file = file;
    this.#onProgress = onProgress;
    this.#quantizeTo = quantizeTo;
    this.#unread = new Set(file.tensors.keys());
    this.#totalBytes = [...file.tensors.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  rowsOf(name: string): number {
    return this.#file.tensor(name).rows;
  }

  formatOf(name: string): QuantFormat {
    const { type, columns } = this.#file.tensor(name);
    const target = this.#quantizeTo;
    const isConverted = target && UNQUANTIZED.has(type) && columns % target.blockLength === 0 && !KEPT.test(name);
    return isConverted ? target : this.#sourceFormat(name);
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
    this.#sourceFormat(name).dequantize(await this.#file.readTensor(tensor), values);
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

  /** Frees what only loading needs on the device. */
  async close(): Promise<void> {
    await destroyUploadStaging(this.#device);
  }

  #sourceFormat(name: string): QuantFormat {
    const { type } = this.#file.tensor(name);
    const format = quantFormatOf(type);
    if (format) return format;
    const supported = QUANT_FORMATS.map((known) => known.ggmlType).join(', ');
    throw new EngineError(
      'model_unsupported',
      `${this.#file.path}: tensor ${name} is ${type}; supported weight formats: ${supported}`,
    );
  }

  #convert({ name, columns }: ModelTensor, bytes: Uint8Array, rows: number, target: QuantFormat): Uint8Array {
    const source = this.#sourceFormat(name);
    if (source === target || !target.quantize) return bytes;
    const values = new Float32Array(rows * columns);
    source.dequantize(bytes, values);
    const converted = new Uint8Array((values.length / target.blockLength) * target.blockBytes);
    target.quantize(values, converted);
    return converted;
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
      const bytes = await this.#file.readTensor(tensor, row * rowBytes, rows * rowBytes, this.#buffer);
      const inFormat = this.#convert(tensor, bytes, rows, matrix.format);
      await uploadRows(this.#device, matrix, rowStart + row, inFormat);
      this.#consumed(tensor, bytes.byteLength);
    }
  }

  #consumed(tensor: ModelTensor, byteLength: number): void {
    this.#unread.delete(tensor.name);
    this.#loadedBytes += byteLength;
    this.#onProgress?.({ loadedBytes: this.#loadedBytes, totalBytes: this.#totalBytes });
  }
}
