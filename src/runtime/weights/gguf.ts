/** Opens GGUF model files: metadata and the list of tensors at once, tensor bytes on demand. Files are not trusted. */
import { type FileHandle, open } from 'node:fs/promises';
import { EngineError } from '../errors.ts';
import { GGML_TYPES } from './ggml-type.ts';
import { GgufReader, type GgufValue } from './gguf-reader.ts';

export interface GgufTensor {
  readonly name: string;
  /** Sizes in ggml's order: the innermost, contiguous dimension first. */
  readonly shape: readonly number[];
  /** Row-major view: the product of all dimensions but the innermost one. */
  readonly rows: number;
  /** The innermost dimension. */
  readonly columns: number;
  /** ggml's name of the type: `F32`, `Q8_0`. */
  readonly type: string;
  /** Bytes from the file's beginning. */
  readonly offset: number;
  readonly byteLength: number;
}

const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
const MAX_KEY_BYTES = 65_535;
const MAX_METADATA_ENTRIES = 65_536;
const MAX_TENSORS = 1_048_576;
const MAX_TENSOR_NAME_BYTES = 1024;
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1024 * 1024;
/** Least bytes of a metadata entry (empty key, one-byte value) and of a tensor's record (empty name, one dimension). */
const LEAST_ENTRY_BYTES = 13;
const LEAST_RECORD_BYTES = 32;
/** Bytes asked of the file system at a time. */
const READ_BYTES = 64 * 1024 * 1024;

/** An open model file. `close` it when all tensors were read. */
export class GgufFile {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle, header: Header) {
    this.path = path;
    this.version = header.version;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#handle = handle;
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
  tensor(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new EngineError(
      'model_file_invalid',
      `${this.path}: tensor ${name} is missing (${this.tensors.size} others)`,
    );
  }

  /**
   * A tensor's bytes, or `byteLength` of them from `byteOffset` on, in a buffer of the caller's own.
   * @throws EngineError model_file_invalid when the file became shorter
   */
  async readTensor(
    tensor: GgufTensor,
    byteOffset = 0,
    byteLength = tensor.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > tensor.byteLength) {
      throw new RangeError(
        `${byteLength} bytes from ${byteOffset} of tensor ${tensor.name}, which has ${tensor.byteLength}`,
      );
    }
    const bytes = new Uint8Array(byteLength);
    let filled = 0;
    while (filled < byteLength) {
      const position = tensor.offset + byteOffset + filled;
      const { bytesRead } = await this.#handle.read(bytes, filled, Math.min(READ_BYTES, byteLength - filled), position);
      if (bytesRead === 0) {
        throw new EngineError(
          'model_file_invalid',
          `${this.path}: tensor ${tensor.name}, at byte ${position}: the file became shorter while it was read`,
        );
      }
      filled += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #mismatch(key: string, value: GgufValue | undefined, wanted: string): never {
    const problem = `is ${value === undefined ? 'missing' : describe(value)}; it must be ${wanted}`;
    throw new EngineError('model_file_invalid', `${this.path}: metadata ${key} ${problem}`);
  }
}

/**
 * Opens a GGUF file of version 2 or 3 and reads its header; no tensor byte is touched.
 * @throws EngineError model_not_found; model_unsupported for other versions; model_file_invalid with field and offset
 * Source: the GGUF specification of the ggml project.
 */
export const openGguf = async (path: string): Promise<GgufFile> => {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw new EngineError('model_not_found', `${path}: cannot be opened: ${String(cause)}`, {}, { cause });
  });
  try {
    const entry = await handle.stat();
    if (!entry.isFile()) throw new EngineError('model_not_found', `${path}: is not a file`);
    return new GgufFile(path, handle, readHeader(new GgufReader(path, handle.fd, entry.size), path, entry.size));
  } catch (error) {
    await handle.close();
    throw error;
  }
};

interface Header {
  readonly version: number;
  readonly metadata: Map<string, GgufValue>;
  readonly tensors: Map<string, GgufTensor>;
}

const readHeader = (reader: GgufReader, path: string, fileBytes: number): Header => {
  reader.field = 'magic';
  if (reader.u32() !== MAGIC) reader.fail('not a GGUF file: it does not begin with "GGUF"', 0);
  const version = readVersion(reader, path);
  const count = (field: string, limit: number, leastBytes: number): number => {
    reader.field = field;
    const value = reader.u64();
    if (value > limit) reader.fail(`${value} is above the limit of ${limit}`, reader.offset - 8);
    if (value * leastBytes > fileBytes)
      reader.fail(`${value} cannot fit a file of ${fileBytes} bytes`, reader.offset - 8);
    return value;
  };
  const numTensors = count('number of tensors', MAX_TENSORS, LEAST_RECORD_BYTES);
  const numEntries = count('number of metadata entries', MAX_METADATA_ENTRIES, LEAST_ENTRY_BYTES);
  const metadata = new Map<string, GgufValue>();
  let alignment = DEFAULT_ALIGNMENT;
  for (let index = 0; index < numEntries; index++) {
    reader.field = `metadata key ${index}`;
    const start = reader.offset;
    const key = reader.string(MAX_KEY_BYTES);
    reader.field = `metadata ${JSON.stringify(key)}`;
    if (metadata.has(key)) reader.fail('the key occurs twice', start);
    const valueStart = reader.offset;
    const value = reader.value();
    if (key === 'general.alignment') alignment = checkAlignment(reader, value, valueStart);
    metadata.set(key, value);
  }
  return { version, metadata, tensors: readTensors(reader, numTensors, alignment, fileBytes) };
};

const readVersion = (reader: GgufReader, path: string): number => {
  reader.field = 'version';
  const version = reader.u32();
  if (VERSIONS.includes(version)) return version;
  const isBigEndian = version !== 0 && (version & 0xffff) === 0;
  const found = isBigEndian ? 'big-endian' : `of version ${version}`;
  throw new EngineError(
    'model_unsupported',
    `${path}: version, at byte 4: the file is ${found}; little-endian GGUF 2 and 3 are supported: convert the model again`,
  );
};

const checkAlignment = (reader: GgufReader, value: GgufValue, offset: number): number => {
  const isValid =
    typeof value === 'number' && value >= 1 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value));
  return isValid ? value : reader.fail(`must be a power of two up to ${MAX_ALIGNMENT}, is ${describe(value)}`, offset);
};

/** A tensor as the file lists it, with the places to blame. */
interface TensorRecord extends Omit<GgufTensor, 'offset'> {
  /** From the beginning of the tensor bytes. */
  readonly relativeOffset: number;
  /** Where the file says so. */
  readonly offsetField: number;
}

const readTensors = (reader: GgufReader, numTensors: number, alignment: number, fileBytes: number) => {
  const records: TensorRecord[] = [];
  for (let index = 0; index < numTensors; index++) records.push(readTensorRecord(reader, index, alignment));
  const start = Math.ceil(reader.offset / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const { relativeOffset, offsetField, ...tensor } of records) {
    reader.field = `tensor ${JSON.stringify(tensor.name)}`;
    const offset = start + relativeOffset;
    if (tensors.has(tensor.name)) reader.fail('the name occurs twice', offsetField);
    if (offset + tensor.byteLength > fileBytes) {
      const extent = `bytes ${offset} to ${offset + tensor.byteLength}`;
      reader.fail(`lies at ${extent}, beyond the file's end at ${fileBytes}: download it again`, offsetField);
    }
    tensors.set(tensor.name, { ...tensor, offset });
  }
  return tensors;
};

const readTensorRecord = (reader: GgufReader, index: number, alignment: number): TensorRecord => {
  reader.field = `name of tensor ${index}`;
  const name = reader.string(MAX_TENSOR_NAME_BYTES);
  reader.field = `tensor ${JSON.stringify(name)}`;
  const shape = readShape(reader);
  const typeId = reader.u32();
  const type = GGML_TYPES.get(typeId) ?? reader.fail(`unknown tensor type ${typeId}`, reader.offset - 4);
  const columns = shape[0]!;
  if (columns % type.blockLength !== 0) {
    reader.fail(
      `rows of ${columns} weights are no whole ${type.name} blocks of ${type.blockLength}`,
      reader.offset - 4,
    );
  }
  const rows = shape.slice(1).reduce((product, size) => product * size, 1);
  const byteLength = (columns / type.blockLength) * rows * type.blockBytes;
  const offsetField = reader.offset;
  const relativeOffset = reader.u64();
  if (relativeOffset % alignment !== 0)
    reader.fail(`offset ${relativeOffset} is no multiple of ${alignment}`, offsetField);
  return { name, shape, rows, columns, type: type.name, byteLength, relativeOffset, offsetField };
};

const readShape = (reader: GgufReader): number[] => {
  const numDimensions = reader.u32();
  if (numDimensions < 1 || numDimensions > MAX_DIMENSIONS) {
    reader.fail(`${numDimensions} dimensions; 1 to ${MAX_DIMENSIONS} are possible`, reader.offset - 4);
  }
  const shape: number[] = [];
  let numWeights = 1;
  for (let dimension = 0; dimension < numDimensions; dimension++) {
    const size = reader.u64();
    if (size === 0) reader.fail(`dimension ${dimension} is 0`, reader.offset - 8);
    numWeights *= size;
    if (!Number.isSafeInteger(numWeights)) reader.fail('more than 2^53 weights', reader.offset - 8);
    shape.push(size);
  }
  return shape;
};

const describe = (value: GgufValue): string =>
  Array.isArray(value) ? `an array of ${value.length} elements` : JSON.stringify(value).slice(0, 80);

function isArrayOf(value: GgufValue, name: 'string'): value is readonly string[];
function isArrayOf(value: GgufValue, name: 'number'): value is readonly number[];
function isArrayOf(value: GgufValue, name: 'string' | 'number'): boolean {
  return Array.isArray(value) && value.every((element) => typeof element === name);
}
