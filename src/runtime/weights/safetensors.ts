/** Reads the headers of safetensors files: names, types, shapes and places of tensors. Files are not trusted. */
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError } from '../errors.ts';
import type { TensorPiece } from './model-file.ts';

/** A tensor as its file has it. */
export interface SafeTensor {
  readonly name: string;
  /** As the format writes it: `BF16`. */
  readonly dtype: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly piece: TensorPiece;
}

export interface SafeTensors {
  readonly tensors: ReadonlyMap<string, SafeTensor>;
  readonly handles: readonly FileHandle[];
}

/** Source: the safetensors format, `Dtype`. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};
const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const INDEX_NAME = 'model.safetensors.index.json';

/**
 * Opens a folder's safetensors: the files its index names, else all there are. The caller closes the handles.
 * @throws EngineError model_not_found, model_file_invalid with the file and what is wrong in it
 */
export const openSafetensors = async (folder: string): Promise<SafeTensors> => {
  const handles: FileHandle[] = [];
  try {
    const tensors = new Map<string, SafeTensor>();
    for (const path of await filesOf(folder)) {
      const handle = await open(path, 'r').catch((cause: unknown) => {
        throw new EngineError('model_not_found', `${path}: cannot be opened: ${String(cause)}`, {}, { cause });
      });
      handles.push(handle);
      for (const tensor of await readHeader(path, handle)) {
        if (tensors.has(tensor.name)) fail(path, `tensor ${tensor.name} is in another file too`);
        tensors.set(tensor.name, tensor);
      }
    }
    return { tensors, handles };
  } catch (error) {
    await Promise.all(handles.map((handle) => handle.close()));
    throw error;
  }
};

const fail = (path: string, problem: string): never => {
  throw new EngineError('model_file_invalid', `${path}: ${problem}`);
};

/**
 * A JSON object of a model's folder; undefined when there is no such file.
 * @throws EngineError model_file_invalid
 */
export const readJsonObject = async (path: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  return parseObject(text) ?? fail(path, 'is no JSON object');
};

/** The same for a JSON array. @throws EngineError model_file_invalid */
export const readJsonList = async (path: string): Promise<readonly unknown[] | undefined> => {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const value = parse(text);
  return Array.isArray(value) ? value : fail(path, 'is no JSON array');
};

const parseObject = (text: string): Readonly<Record<string, unknown>> | undefined => {
  const value = parse(text);
  return isObject(value) ? value : undefined;
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    // What JSON.parse would say has no place in the file's terms; the caller names the file.
    return undefined;
  }
};

/** A JSON object, neither an array nor null. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const filesOf = async (folder: string): Promise<string[]> => {
  const indexPath = join(folder, INDEX_NAME);
  const index = await readJsonObject(indexPath);
  if (!index)
    return (await readdir(folder))
      .filter((name) => name.endsWith('.safetensors'))
      .sort()
      .map((name) => join(folder, name));
  const map = index.weight_map;
  if (!isObject(map)) return fail(indexPath, 'has no weight_map');
  const names = new Set(Object.values(map));
  return [...names].map((name) => {
    if (typeof name === 'string' && basename(name) === name && name.endsWith('.safetensors')) return join(folder, name);
    return fail(indexPath, `weight_map names ${JSON.stringify(name)}, which is no safetensors file of this folder`);
  });
};

const readHeader = async (path: string, handle: FileHandle): Promise<SafeTensor[]> => {
  const { size } = await handle.stat();
  if (size < LENGTH_BYTES) fail(path, `has ${size} bytes: download it again`);
  const length = Number((await read(path, handle, 0, LENGTH_BYTES)).readBigUInt64LE(0));
  if (length > MAX_HEADER_BYTES) {
    fail(path, `a header of ${length} bytes, at most ${MAX_HEADER_BYTES}: not a safetensors file`);
  }
  const start = LENGTH_BYTES + length;
  if (start > size) fail(path, `the header ends at byte ${start}, the file at ${size}: download it again`);
  const header = parseObject((await read(path, handle, LENGTH_BYTES, length)).toString('utf8'));
  if (!header) return fail(path, 'the header is no JSON object');
  return Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => readEntry(path, name, entry, handle, start, size));
};

const read = async (path: string, handle: FileHandle, position: number, length: number): Promise<Buffer> => {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) fail(path, 'the file became shorter while it was read');
    filled += bytesRead;
  }
  return bytes;
};

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const readEntry = (
  path: string,
  name: string,
  entry: unknown,
  source: FileHandle,
  start: number,
  fileBytes: number,
): SafeTensor => {
  const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
  const where = `tensor ${JSON.stringify(name)}`;
  const elementBytes = typeof dtype === 'string' ? DTYPE_BYTES[dtype] : undefined;
  if (typeof dtype !== 'string' || elementBytes === undefined) {
    return fail(path, `${where}: unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail(path, `${where}: shape is ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail(path, `${where}: data_offsets are ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const wanted = shape.reduce((product: number, size: number) => product * size, elementBytes);
  if (end - begin !== wanted)
    fail(path, `${where}: ${end - begin} bytes, its shape [${shape}] of ${dtype} asks for ${wanted}`);
  if (start + end > fileBytes) {
    fail(path, `${where}: ends at byte ${start + end}, the file at ${fileBytes}: download it again`);
  }
  return { name, dtype, shape, piece: { source, offset: start + begin, byteLength: wanted } };
};
