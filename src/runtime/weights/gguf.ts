/** Opens GGUF model files: metadata and the list of tensors at once, tensor bytes on demand. Files are not trusted. */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { EngineError } from '../errors.ts';
import { GGML_TYPES } from './ggml-type.ts';
import { GgufReader } from './gguf-reader.ts';
import { describe, type MetadataValue, ModelFile, type ModelTensor, type TensorPiece } from './model-file.ts';

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

/** Name of one part of a split model: part and number of parts, from 1. Source: llama.cpp's gguf-split. */
const PART_NAME = /-(\d{5})-of-(\d{5})\.gguf$/;

/**
 * Opens a GGUF file of version 2 or 3, with all its parts when it is split, and reads the headers; no tensor byte is touched.
 * @throws EngineError model_not_found; model_unsupported for other versions; model_file_invalid with field and offset
 * Source: the GGUF specification of the ggml project.
 */
export const openGguf = async (path: string): Promise<ModelFile> => {
  const parts: Part[] = [];
  try {
    for (const partPath of partPaths(path)) parts.push(await openPart(partPath, path));
    return new ModelFile({
      path,
      metadata: parts[0]!.metadata,
      tensors: joinTensors(parts),
      handles: parts.map(({ handle }) => handle),
    });
  } catch (error) {
    await Promise.all(parts.map(({ handle }) => handle.close()));
    throw error;
  }
};

interface Part extends Header {
  readonly path: string;
  readonly handle: FileHandle;
}

/** The file itself, or all parts that its name says there are. */
const partPaths = (path: string): string[] => {
  const [, , count] = PART_NAME.exec(path) ?? [];
  if (count === undefined) return [path];
  const pad = (part: number) => String(part).padStart(5, '0');
  return Array.from({ length: Number(count) }, (_, i) => path.replace(PART_NAME, `-${pad(i + 1)}-of-${count}.gguf`));
};

/** `asked`: the file that was asked for, of which this is a part. */
const openPart = async (path: string, asked: string): Promise<Part> => {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    const whose = path === asked ? '' : `, a part of ${asked}: all parts must lie in one folder`;
    throw new EngineError('model_not_found', `${path}: cannot be opened: ${String(cause)}${whose}`, {}, { cause });
  });
  try {
    const entry = await handle.stat();
    if (!entry.isFile()) throw new EngineError('model_not_found', `${path}: is not a file`);
    const read = (target: Uint8Array, position: number) => readSync(handle.fd, target, 0, target.length, position);
    const reader = new GgufReader(path, read, entry.size);
    return { ...readHeader(reader, path, entry.size, handle), path, handle };
  } catch (error) {
    await handle.close();
    throw error;
  }
};

/** The head given is shorter than the header. */
class HeadTooShort extends Error {}

/**
 * What a GGUF file says of itself, by its first bytes: tensors are listed, but none can be read. Undefined when the
 * header is longer than `head`. One part of a split model is read by itself.
 * @throws as `openGguf`, `path` being only a name
 */
export const readGgufHead = (path: string, head: Uint8Array, fileBytes: number): ModelFile | undefined => {
  const read = (target: Uint8Array, position: number): number => {
    if (position >= head.length) throw new HeadTooShort();
    const bytes = head.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  };
  try {
    const header = readHeader(new GgufReader(path, read, fileBytes), path, fileBytes, head);
    return new ModelFile({ path, ...header, handles: [] });
  } catch (error) {
    if (error instanceof HeadTooShort) return undefined;
    throw error;
  }
};

const joinTensors = (parts: readonly Part[]): Map<string, ModelTensor> => {
  const all = new Map<string, ModelTensor>();
  for (const { path, metadata, tensors } of parts) {
    const count = metadata.get('split.count');
    if (parts.length > 1 && count !== parts.length) {
      const found = `metadata split.count is ${count === undefined ? 'missing' : describe(count)}`;
      throw new EngineError('model_file_invalid', `${path}: ${found}, the name says ${parts.length} parts`);
    }
    for (const [name, tensor] of tensors) {
      if (all.has(name)) throw new EngineError('model_file_invalid', `${path}: tensor ${name} is in another part too`);
      all.set(name, tensor);
    }
  }
  return all;
};

interface Header {
  readonly metadata: Map<string, MetadataValue>;
  readonly tensors: Map<string, ModelTensor>;
}

const readHeader = (reader: GgufReader, path: string, fileBytes: number, source: TensorPiece['source']): Header => {
  reader.field = 'magic';
  if (reader.u32() !== MAGIC) reader.fail('not a GGUF file: it does not begin with "GGUF"', 0);
  checkVersion(reader, path);
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
  const metadata = new Map<string, MetadataValue>();
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
  return { metadata, tensors: readTensors(reader, numTensors, alignment, fileBytes, source) };
};

const checkVersion = (reader: GgufReader, path: string): void => {
  reader.field = 'version';
  const version = reader.u32();
  if (VERSIONS.includes(version)) return;
  const isBigEndian = version !== 0 && (version & 0xffff) === 0;
  const found = isBigEndian ? 'big-endian' : `of version ${version}`;
  throw new EngineError(
    'model_unsupported',
    `${path}: version, at byte 4: the file is ${found}; little-endian GGUF 2 and 3 are supported: convert the model again`,
  );
};

const checkAlignment = (reader: GgufReader, value: MetadataValue, offset: number): number => {
  const isValid =
    typeof value === 'number' && value >= 1 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value));
  return isValid ? value : reader.fail(`must be a power of two up to ${MAX_ALIGNMENT}, is ${describe(value)}`, offset);
};

/** A tensor as the file lists it, with the places to blame. */
interface TensorRecord extends Omit<ModelTensor, 'pieces'> {
  /** From the beginning of the tensor bytes. */
  readonly relativeOffset: number;
  /** Where the file says so. */
  readonly offsetField: number;
}

const readTensors = (
  reader: GgufReader,
  numTensors: number,
  alignment: number,
  fileBytes: number,
  source: TensorPiece['source'],
): Map<string, ModelTensor> => {
  const records: TensorRecord[] = [];
  for (let index = 0; index < numTensors; index++) records.push(readTensorRecord(reader, index, alignment));
  const start = Math.ceil(reader.offset / alignment) * alignment;
  const tensors = new Map<string, ModelTensor>();
  for (const { relativeOffset, offsetField, ...tensor } of records) {
    reader.field = `tensor ${JSON.stringify(tensor.name)}`;
    const offset = start + relativeOffset;
    if (tensors.has(tensor.name)) reader.fail('the name occurs twice', offsetField);
    if (offset + tensor.byteLength > fileBytes) {
      const extent = `bytes ${offset} to ${offset + tensor.byteLength}`;
      reader.fail(`lies at ${extent}, beyond the file's end at ${fileBytes}: download it again`, offsetField);
    }
    tensors.set(tensor.name, { ...tensor, pieces: [{ source, offset, byteLength: tensor.byteLength }] });
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
