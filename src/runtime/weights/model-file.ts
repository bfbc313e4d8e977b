/** An open model, whatever its format: metadata under GGUF's keys, tensors under GGUF's names, bytes on demand. */
import type { FileHandle } from 'node:fs/promises';
import { EngineError } from '../errors.ts';

export type MetadataArray = readonly string[] | readonly number[] | readonly boolean[] | readonly MetadataArray[];
export type MetadataValue = string | number | boolean | MetadataArray;

/** Bytes that lie in a file, or in memory where they were computed. */
export interface TensorPiece {
  readonly source: FileHandle | Uint8Array;
  /** From the source's beginning. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Reads part of a piece. */
export type ReadPiece = (piece: TensorPiece, byteOffset: number, byteLength: number) => Promise<Uint8Array>;

/** Makes whole rows of bytes that no file has as they are. */
export type AssembleRows = (read: ReadPiece, firstRow: number, count: number) => Promise<Uint8Array<ArrayBuffer>>;

export interface ModelTensor {
  readonly name: string;
  /** Sizes in ggml's order: the innermost, contiguous dimension first. */
  readonly shape: readonly number[];
  /** Row-major view: the product of all dimensions but the innermost one. */
  readonly rows: number;
  /** The innermost dimension. */
  readonly columns: number;
  /** ggml's name of the type: `F32`, `Q8_0`. */
  readonly type: string;
  readonly byteLength: number;
  /** What the tensor's bytes are made of, in order; empty when they are assembled. */
  readonly pieces: readonly TensorPiece[];
  readonly assemble?: AssembleRows;
  /** Added to every value once it is decoded; for vectors only. */
  readonly addend?: number;
}

export interface ModelContent {
  /** Of the file, or of the folder that a model of several files lies in. */
  readonly path: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly handles: readonly FileHandle[];
}

/** Bytes asked of the file system at a time. */
const READ_BYTES = 64 * 1024 * 1024;

/** `close` it when all tensors were read. */
export class ModelFile {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  readonly #handles: readonly FileHandle[];

  constructor({ path, metadata, tensors, handles }: ModelContent) {
    this.path = path;
    this.metadata = metadata;
    this.tensors = tensors;
    this.#handles = handles;
  }

  /** A metadata string. @throws EngineError model_file_invalid when of another type, or absent without a fallback */
  string(key: string, fallback?: string): string {
    const value = this.metadata.get(key) ?? fallback;
    return typeof value === 'string' ? value : this.#mismatch(key, value, 'a string');
  }

  /** A finite number. @throws as `string` */
  number(key: string, fallback?: number): number {
    const value = this.metadata.get(key) ?? fallback;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.#mismatch(key, value, 'a number');
  }

  /** A whole number ≥ 1: a size or a count. @throws as `string` */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    const isCount = Number.isSafeInteger(value) && value >= 1;
    return isCount ? value : this.#mismatch(key, value, 'a whole number of at least 1');
  }

  /** @throws as `string` */
  boolean(key: string, fallback?: boolean): boolean {
    const value = this.metadata.get(key) ?? fallback;
    return typeof value === 'boolean' ? value : this.#mismatch(key, value, 'true or false');
  }

  /** Undefined when the key is absent. @throws EngineError model_file_invalid when it is anything but strings */
  strings(key: string): readonly string[] | undefined {
    const value = this.metadata.get(key);
    return value === undefined || isArrayOf(value, 'string')
      ? value
      : this.#mismatch(key, value, 'an array of strings');
  }

  /** Undefined when the key is absent. @throws EngineError model_file_invalid when it is anything but numbers */
  numbers(key: string): readonly number[] | undefined {
    const value = this.metadata.get(key);
    return value === undefined || isArrayOf(value, 'number')
      ? value
      : this.#mismatch(key, value, 'an array of numbers');
  }

  /** @throws EngineError model_file_invalid when the file has no such tensor */
  tensor(name: string): ModelTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new EngineError(
      'model_file_invalid',
      `${this.path}: tensor ${name} is missing (${this.tensors.size} others)`,
    );
  }

  /**
   * A tensor's bytes, or `byteLength` of them from `byteOffset` on, in a buffer of the caller's own: a part of `target`,
   * where one is given that is large enough and the bytes lie in files.
   * @throws EngineError model_file_invalid when the file became shorter
   */
  async readTensor(
    tensor: ModelTensor,
    byteOffset = 0,
    byteLength = tensor.byteLength - byteOffset,
    target?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > tensor.byteLength) {
      throw new RangeError(
        `${byteLength} bytes from ${byteOffset} of tensor ${tensor.name}, which has ${tensor.byteLength}`,
      );
    }
    if (tensor.assemble) return this.#assembleBytes(tensor, tensor.assemble, byteOffset, byteLength);
    const isLargeEnough = target !== undefined && target.byteLength >= byteLength;
    const bytes = isLargeEnough ? target.subarray(0, byteLength) : new Uint8Array(byteLength);
    let start = 0;
    for (const piece of tensor.pieces) {
      const from = Math.max(byteOffset, start);
      const to = Math.min(byteOffset + byteLength, start + piece.byteLength);
      if (from < to)
        await this.#readPiece(tensor, piece, from - start, bytes.subarray(from - byteOffset, to - byteOffset));
      start += piece.byteLength;
    }
    return bytes;
  }

  /** Of all its files together. */
  async byteLength(): Promise<number> {
    const entries = await Promise.all(this.#handles.map((handle) => handle.stat()));
    return entries.reduce((sum, { size }) => sum + size, 0);
  }

  async close(): Promise<void> {
    await Promise.all(this.#handles.map((handle) => handle.close()));
  }

  async #assembleBytes(tensor: ModelTensor, assemble: AssembleRows, byteOffset: number, byteLength: number) {
    const rowBytes = tensor.byteLength / tensor.rows;
    const firstRow = Math.floor(byteOffset / rowBytes);
    const count = Math.ceil((byteOffset + byteLength) / rowBytes) - firstRow;
    const read: ReadPiece = async (piece, offset, length) => {
      const bytes = new Uint8Array(length);
      await this.#readPiece(tensor, piece, offset, bytes);
      return bytes;
    };
    const start = byteOffset - firstRow * rowBytes;
    return (await assemble(read, firstRow, count)).subarray(start, start + byteLength);
  }

  async #readPiece({ name }: ModelTensor, piece: TensorPiece, byteOffset: number, target: Uint8Array): Promise<void> {
    const { source } = piece;
    const position = piece.offset + byteOffset;
    if (source instanceof Uint8Array) {
      target.set(source.subarray(position, position + target.length));
      return;
    }
    let filled = 0;
    while (filled < target.length) {
      const length = Math.min(READ_BYTES, target.length - filled);
      const { bytesRead } = await source.read(target, filled, length, position + filled);
      if (bytesRead === 0) {
        throw new EngineError(
          'model_file_invalid',
          `${this.path}: tensor ${name}, at byte ${position + filled}: the file became shorter while it was read`,
        );
      }
      filled += bytesRead;
    }
  }

  #mismatch(key: string, value: MetadataValue | undefined, wanted: string): never {
    const problem = `is ${value === undefined ? 'missing' : describe(value)}; it must be ${wanted}`;
    throw new EngineError('model_file_invalid', `${this.path}: metadata ${key} ${problem}`);
  }
}

/** A value as a message shows it. */
export const describe = (value: MetadataValue): string =>
  Array.isArray(value) ? `an array of ${value.length} elements` : JSON.stringify(value).slice(0, 80);

function isArrayOf(value: MetadataValue, name: 'string'): value is readonly string[];
function isArrayOf(value: MetadataValue, name: 'number'): value is readonly number[];
function isArrayOf(value: MetadataValue, name: 'string' | 'number'): boolean {
  return Array.isArray(value) && value.every((element) => typeof element === name);
}
