/** Reads GGUF files: metadata and tensor directory at once, tensor bytes on demand. Trusts nothing in the file. */
import { type FileHandle, open } from 'node:fs/promises';
import { EngineError } from '../errors.ts';

export type GgufValue = string | number | boolean | readonly GgufValue[];

/** One tensor's place in the file. */
export interface GgufTensor {
  readonly name: string;
  /** ggml's type name: `F32`, `Q8_0`, … */
  readonly type: string;
  /** Sizes, fastest-varying first, as the file has them. */
  readonly shape: readonly number[];
  /** The tensor as a matrix: `columns` is the fastest-varying size, `rows` the product of the others. */
  readonly rows: number;
  readonly columns: number;
  /** Bytes from the file's start. */
  readonly offset: number;
  readonly byteLength: number;
}

// Limits that no honest file reaches; they keep a hostile one from exhausting memory.
const MAX_METADATA_COUNT = 65_536;
const MAX_TENSOR_COUNT = 1_048_576;
const MAX_KEY_BYTES = 65_535;
const MAX_STRING_BYTES = 64 * 2 ** 20;
const MAX_ARRAY_LENGTH = 16 * 2 ** 20;
const MAX_ARRAY_DEPTH = 4;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 1_048_576;
const DEFAULT_ALIGNMENT = 32;
const READ_BYTES = 1024 * 1024;

/** Every ggml type: name, weights a block, bytes a block. Source: ggml.h and ggml-common.h. */
const TENSOR_TYPES: ReadonlyMap<number, readonly [name: string, blockLength: number, blockBytes: number]> = new Map([
  [0, ['F32', 1, 4]],
  [1, ['F16', 1, 2]],
  [2, ['Q4_0', 32, 18]],
  [3, ['Q4_1', 32, 20]],
  [6, ['Q5_0', 32, 22]],
  [7, ['Q5_1', 32, 24]],
  [8, ['Q8_0', 32, 34]],
  [9, ['Q8_1', 32, 36]],
  [10, ['Q2_K', 256, 84]],
  [11, ['Q3_K', 256, 110]],
  [12, ['Q4_K', 256, 144]],
  [13, ['Q5_K', 256, 176]],
  [14, ['Q6_K', 256, 210]],
  [15, ['Q8_K', 256, 292]],
  [16, ['IQ2_XXS', 256, 66]],
  [17, ['IQ2_XS', 256, 74]],
  [18, ['IQ3_XXS', 256, 98]],
  [19, ['IQ1_S', 256, 50]],
  [20, ['IQ4_NL', 32, 18]],
  [21, ['IQ3_S', 256, 110]],
  [22, ['IQ2_S', 256, 82]],
  [23, ['IQ4_XS', 256, 136]],
  [24, ['I8', 1, 1]],
  [25, ['I16', 1, 2]],
  [26, ['I32', 1, 4]],
  [27, ['I64', 1, 8]],
  [28, ['F64', 1, 8]],
  [29, ['IQ1_M', 256, 56]],
  [30, ['BF16', 1, 2]],
  [34, ['TQ1_0', 256, 54]],
  [35, ['TQ2_0', 256, 66]],
  [39, ['MXFP4', 32, 17]],
]);

const STRING_TYPE = 8;
const ARRAY_TYPE = 9;
/** Bytes of each scalar metadata type, by its number. */
const SCALAR_BYTES: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

/**
 * Opens a GGUF file of version 2 or 3 and reads everything but the tensors' bytes. Close it when done.
 * @throws EngineError model_not_found; model_file_invalid naming the field and its byte offset
 */
export const openGguf = async (path: string): Promise<GgufFile> => {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw new EngineError('model_not_found', `${path}: ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    return await readHeader(path, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
};

export class GgufFile {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #handle: FileHandle;

  constructor(
    path: string,
    handle: FileHandle,
    version: number,
    metadata: ReadonlyMap<string, GgufValue>,
    tensors: ReadonlyMap<string, GgufTensor>,
  ) {
    this.path = path;
    this.version = version;
    this.metadata = metadata;
    this.tensors = tensors;
    this.#handle = handle;
  }

  /** A finite number. @throws EngineError model_file_invalid when absent without a fallback, or no number */
  number(key: string, fallback?: number): number {
    const value = this.metadata.get(key) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.#wrong(key, value, 'a number');
  }

  /** A whole number ≥ 1: a size or a count. @throws EngineError as `number` */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw this.#wrong(key, value, 'a whole number of at least 1');
  }

  /** @throws EngineError as `number` */
  string(key: string, fallback?: string): string {
    const value = this.metadata.get(key) ?? fallback;
    if (typeof value === 'string') return value;
    throw this.#wrong(key, value, 'a string');
  }

  /** @throws EngineError as `number` */
  boolean(key: string, fallback?: boolean): boolean {
    const value = this.metadata.get(key) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.#wrong(key, value, 'true or false');
  }

  /** An array of strings, or undefined when the key is absent. @throws EngineError when it is anything else */
  strings(key: string): readonly string[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value as readonly string[];
    throw this.#wrong(key, value, 'an array of strings');
  }

  /** An array of numbers, or undefined when the key is absent. @throws EngineError when it is anything else */
  numbers(key: string): readonly number[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((entry) => typeof entry === 'number')) return value as readonly number[];
    throw this.#wrong(key, value, 'an array of numbers');
  }

  /** @throws EngineError model_file_invalid when the file has no such tensor */
  tensor(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new EngineError('model_file_invalid', `${this.path}: tensor ${name} is missing`);
  }

  /**
   * Reads bytes of a tensor from the file.
   * @throws EngineError model_file_invalid when the file has been cut since it was opened
   */
  async readTensor(
    tensor: GgufTensor,
    start = 0,
    length = tensor.byteLength - start,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    let read = 0;
    while (read < length) {
      const { bytesRead } = await this.#handle.read(bytes, read, length - read, tensor.offset + start + read);
      if (bytesRead === 0) {
        throw new EngineError(
          'model_file_invalid',
          `${this.path}: tensor ${tensor.name} ends at byte ${tensor.offset + start + read} of the file; download it again`,
        );
      }
      read += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #wrong(key: string, value: unknown, wanted: string): EngineError {
    const found = value === undefined ? 'missing' : Array.isArray(value) ? 'an array' : JSON.stringify(value);
    return new EngineError('model_file_invalid', `${this.path}: ${key} is ${found}; it must be ${wanted}`);
  }
}

/** Reads little-endian fields in order, a piece of the file at a time. */
class HeaderReader {
  readonly path: string;
  readonly fileBytes: number;
  readonly #handle: FileHandle;
  #buffer = Buffer.alloc(0);
  #bufferStart = 0;
  /** Offset of the next byte. */
  offset = 0;

  constructor(path: string, handle: FileHandle, fileBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.fileBytes = fileBytes;
  }

  fail(field: string, fault: string, at = this.offset): never {
    throw new EngineError('model_file_invalid', `${this.path}: ${field} at byte ${at} ${fault}`);
  }

  /** The next `length` bytes without a copy where they are at hand; valid until the next call. */
  async take(length: number, field: string): Promise<Buffer> {
    if (length > this.fileBytes - this.offset)
      this.fail(field, `runs past the end of the file (${this.fileBytes} bytes)`);
    const start = this.offset - this.#bufferStart;
    if (start + length > this.#buffer.length) await this.#fill(length, field);
    const from = this.offset - this.#bufferStart;
    this.offset += length;
    return this.#buffer.subarray(from, from + length);
  }

  async u32(field: string): Promise<number> {
    return (await this.take(4, field)).readUInt32LE(0);
  }

  /** A 64-bit count that must not exceed `limit`. */
  async u64(field: string, limit: number): Promise<number> {
    const at = this.offset;
    const value = (await this.take(8, field)).readBigUInt64LE(0);
    if (value > BigInt(limit)) this.fail(field, `is ${value}, at most ${limit} is allowed`, at);
    return Number(value);
  }

  async string(field: string, limit: number): Promise<string> {
    const length = await this.u64(`the length of ${field}`, limit);
    return (await this.take(length, field)).toString('utf8');
  }

  /** The next string if it lies in the piece at hand: vocabularies have hundreds of thousands, too many to await. */
  bufferedString(): string | undefined {
    const start = this.offset - this.#bufferStart;
    if (start + 8 > this.#buffer.length) return undefined;
    const length = this.#buffer.readBigUInt64LE(start);
    if (length > BigInt(this.#buffer.length - start - 8)) return undefined;
    this.offset += 8 + Number(length);
    return this.#buffer.toString('utf8', start + 8, start + 8 + Number(length));
  }

  async #fill(length: number, field: string): Promise<void> {
    const wanted = Math.min(Math.max(length, READ_BYTES), this.fileBytes - this.offset);
    const buffer = Buffer.allocUnsafe(wanted);
    let read = 0;
    while (read < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, read, wanted - read, this.offset + read);
      if (bytesRead === 0) this.fail(field, 'could not be read to its end');
      read += bytesRead;
    }
    this.#buffer = buffer;
    this.#bufferStart = this.offset;
  }
}

const readHeader = async (path: string, handle: FileHandle): Promise<GgufFile> => {
  const file = await handle.stat();
  if (!file.isFile()) throw new EngineError('model_file_invalid', `${path}: not a file`);
  const reader = new HeaderReader(path, handle, file.size);
  const magic = (await reader.take(Math.min(4, file.size), 'the magic number')).toString('latin1');
  if (magic !== 'GGUF')
    reader.fail('the magic number', `is ${JSON.stringify(magic)}, not "GGUF": this is no GGUF file`, 0);
  const version = await reader.u32('the version');
  if (version !== 2 && version !== 3) {
    reader.fail('the version', `is ${version}; supported are 2 and 3 (little-endian)`, 4);
  }
  const tensorCount = await reader.u64('the tensor count', MAX_TENSOR_COUNT);
  const metadataCount = await reader.u64('the metadata count', MAX_METADATA_COUNT);
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < metadataCount; index++) {
    const at = reader.offset;
    const key = await reader.string(`metadata key ${index}`, MAX_KEY_BYTES);
    if (metadata.has(key)) reader.fail(`metadata key ${index}`, `repeats ${JSON.stringify(key)}`, at);
    metadata.set(key, await readValue(reader, key, await reader.u32(`the type of ${key}`), 0));
  }
  const tensors = await readDirectory(reader, tensorCount, readAlignment(reader, metadata));
  return new GgufFile(path, handle, version, metadata, tensors);
};

const readAlignment = (reader: HeaderReader, metadata: ReadonlyMap<string, GgufValue>): number => {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const valid = typeof alignment === 'number' && alignment >= 8 && alignment <= MAX_ALIGNMENT;
  if (valid && (alignment & (alignment - 1)) === 0) return alignment;
  return reader.fail(
    'general.alignment',
    `is ${String(alignment)}; it must be a power of two from 8 to ${MAX_ALIGNMENT}`,
  );
};

const readValue = async (reader: HeaderReader, key: string, type: number, depth: number): Promise<GgufValue> => {
  if (type === STRING_TYPE) return reader.string('a string', MAX_STRING_BYTES);
  if (type === ARRAY_TYPE) return readArray(reader, key, depth);
  const byteLength = SCALAR_BYTES[type];
  if (byteLength === undefined) return reader.fail(`the type of ${key}`, `is ${type}, which GGUF does not define`);
  return readScalar(reader, await reader.take(byteLength, key), type, 0, key);
};

const readScalar = (reader: HeaderReader, bytes: Buffer, type: number, at: number, key: string): number | boolean => {
  switch (type) {
    case 0:
      return bytes.readUInt8(at);
    case 1:
      return bytes.readInt8(at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readInt16LE(at);
    case 4:
      return bytes.readUInt32LE(at);
    case 5:
      return bytes.readInt32LE(at);
    case 6:
      return bytes.readFloatLE(at);
    case 7:
      return bytes.readUInt8(at) !== 0;
    case 12:
      return bytes.readDoubleLE(at);
    default: {
      const value = type === 10 ? bytes.readBigUInt64LE(at) : bytes.readBigInt64LE(at);
      if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
        reader.fail(key, `is ${value}, beyond what can be counted exactly`);
      }
      return Number(value);
    }
  }
};

const readArray = async (reader: HeaderReader, key: string, depth: number): Promise<readonly GgufValue[]> => {
  if (depth >= MAX_ARRAY_DEPTH) return reader.fail(key, `nests arrays more than ${MAX_ARRAY_DEPTH} deep`);
  const type = await reader.u32(`the element type of ${key}`);
  const length = await reader.u64(`the length of ${key}`, MAX_ARRAY_LENGTH);
  const byteLength = SCALAR_BYTES[type];
  if (byteLength !== undefined) {
    const bytes = await reader.take(length * byteLength, key);
    return Array.from({ length }, (_, index) => readScalar(reader, bytes, type, index * byteLength, key));
  }
  if (type !== STRING_TYPE && type !== ARRAY_TYPE) reader.fail(`the element type of ${key}`, `is ${type}`);
  // A string or an array takes at least eight bytes: a length the file cannot hold is refused before it is believed.
  if (length * 8 > reader.fileBytes - reader.offset)
    reader.fail(key, `claims ${length} elements, more than the file holds`);
  const values: GgufValue[] = [];
  for (let index = 0; index < length; index++) {
    const buffered = type === STRING_TYPE ? reader.bufferedString() : undefined;
    values.push(buffered ?? (await readValue(reader, key, type, depth + 1)));
  }
  return values;
};

interface DirectoryEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly typeNumber: number;
  readonly relativeOffset: number;
  readonly at: number;
}

const readDirectory = async (
  reader: HeaderReader,
  count: number,
  alignment: number,
): Promise<ReadonlyMap<string, GgufTensor>> => {
  const entries: DirectoryEntry[] = [];
  for (let index = 0; index < count; index++) entries.push(await readEntry(reader, index));
  const start = Math.ceil(reader.offset / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const entry of entries) {
    if (tensors.has(entry.name)) reader.fail(`tensor ${entry.name}`, 'is listed twice', entry.at);
    tensors.set(entry.name, placeTensor(reader, entry, start, alignment));
  }
  return tensors;
};

const readEntry = async (reader: HeaderReader, index: number): Promise<DirectoryEntry> => {
  const at = reader.offset;
  const name = await reader.string(`the name of tensor ${index}`, MAX_KEY_BYTES);
  const dimensions = await reader.u32(`the dimensions of tensor ${name}`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    reader.fail(`the dimensions of tensor ${name}`, `are ${dimensions}; 1 to ${MAX_DIMENSIONS} are allowed`, at);
  }
  const shape: number[] = [];
  for (let axis = 0; axis < dimensions; axis++) {
    shape.push(await reader.u64(`size ${axis} of tensor ${name}`, Number.MAX_SAFE_INTEGER));
  }
  const typeNumber = await reader.u32(`the type of tensor ${name}`);
  const relativeOffset = await reader.u64(`the offset of tensor ${name}`, Number.MAX_SAFE_INTEGER);
  return { name, shape, typeNumber, relativeOffset, at };
};

const placeTensor = (reader: HeaderReader, entry: DirectoryEntry, start: number, alignment: number): GgufTensor => {
  const { name, shape, typeNumber, relativeOffset, at } = entry;
  const known = TENSOR_TYPES.get(typeNumber);
  if (!known) return reader.fail(`the type of tensor ${name}`, `is ${typeNumber}, which GGUF does not define`, at);
  const [type, blockLength, blockBytes] = known;
  const columns = shape[0]!;
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements === 0 || !Number.isSafeInteger(elements)) {
    reader.fail(`tensor ${name}`, `has the impossible shape ${shape.join(' × ')}`, at);
  }
  if (columns % blockLength !== 0) {
    reader.fail(`tensor ${name}`, `has rows of ${columns}, no multiple of ${type}'s block of ${blockLength}`, at);
  }
  if (relativeOffset % alignment !== 0) {
    reader.fail(`the offset of tensor ${name}`, `is ${relativeOffset}, no multiple of the alignment ${alignment}`, at);
  }
  const byteLength = (elements / blockLength) * blockBytes;
  const offset = start + relativeOffset;
  if (offset + byteLength > reader.fileBytes) {
    reader.fail(
      `tensor ${name}`,
      `ends at byte ${offset + byteLength}, the file has ${reader.fileBytes}: it is cut; download it again`,
      at,
    );
  }
  return { name, type, shape, rows: elements / columns, columns, offset, byteLength };
};
