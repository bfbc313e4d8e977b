/** Reads GGUF's scalar and array encodings, window by window, and says where a value is broken. */
import { isUtf8 } from 'node:buffer';
import { EngineError } from '../errors.ts';
import type { MetadataArray, MetadataValue } from './model-file.ts';

/** Metadata and tensor list together: far above any real model, far below what would hurt. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;
const MAX_STRING_BYTES = 16 * 1024 * 1024;
const MAX_ARRAY_LENGTH = 16 * 1024 * 1024;
const MAX_ARRAY_DEPTH = 4;
const WINDOW_BYTES = 1024 * 1024;
const STRING_TYPE = 8;
const ARRAY_TYPE = 9;

interface Scalar {
  readonly name: string;
  readonly byteLength: number;
  read(reader: GgufReader): number | boolean | string;
}

/** Source: GGUF specification, `gguf_metadata_value_type`. For strings the length is the least one. */
const SCALARS: readonly (Scalar | undefined)[] = [
  { name: 'uint8', byteLength: 1, read: (reader) => reader.u8() },
  { name: 'int8', byteLength: 1, read: (reader) => (reader.u8() << 24) >> 24 },
  { name: 'uint16', byteLength: 2, read: (reader) => reader.view(2).getUint16(0, true) },
  { name: 'int16', byteLength: 2, read: (reader) => reader.view(2).getInt16(0, true) },
  { name: 'uint32', byteLength: 4, read: (reader) => reader.u32() },
  { name: 'int32', byteLength: 4, read: (reader) => reader.view(4).getInt32(0, true) },
  { name: 'float32', byteLength: 4, read: (reader) => reader.view(4).getFloat32(0, true) },
  { name: 'bool', byteLength: 1, read: (reader) => reader.bool() },
  { name: 'string', byteLength: 8, read: (reader) => reader.string(MAX_STRING_BYTES) },
  undefined,
  { name: 'uint64', byteLength: 8, read: (reader) => reader.u64() },
  { name: 'int64', byteLength: 8, read: (reader) => reader.i64() },
  { name: 'float64', byteLength: 8, read: (reader) => reader.view(8).getFloat64(0, true) },
];

/** Fills a buffer with a file's bytes from `position` on, as far as they are at hand: how many; 0 at the end. */
export type ReadBytes = (target: Uint8Array, position: number) => number;

/** A cursor over a file. Every read may throw EngineError('model_file_invalid') with `field` and the byte offset. */
export class GgufReader {
  /** What is being read, for messages. */
  field = 'header';
  readonly #path: string;
  readonly #read: ReadBytes;
  readonly #fileBytes: number;
  #window: Buffer<ArrayBuffer> = Buffer.alloc(0);
  #view = new DataView(this.#window.buffer);
  #windowStart = 0;
  #cursor = 0;

  constructor(path: string, read: ReadBytes, fileBytes: number) {
    this.#path = path;
    this.#read = read;
    this.#fileBytes = fileBytes;
  }

  /** Bytes from the file's beginning. */
  get offset(): number {
    return this.#windowStart + this.#cursor;
  }

  fail(problem: string, offset = this.offset): never {
    throw new EngineError('model_file_invalid', `${this.#path}: ${this.field}, at byte ${offset}: ${problem}`);
  }

  u8(): number {
    this.#need(1);
    return this.#window[this.#cursor++]!;
  }

  u32(): number {
    return this.view(4).getUint32(0, true);
  }

  /** @throws EngineError model_file_invalid beyond 2^53 − 1 */
  u64(): number {
    const start = this.offset;
    const low = this.u32();
    const value = this.u32() * 2 ** 32 + low;
    return Number.isSafeInteger(value) ? value : this.fail(`${value} is beyond 2^53`, start);
  }

  i64(): number {
    const start = this.offset;
    const value = Number(this.view(8).getBigInt64(0, true));
    return Number.isSafeInteger(value) ? value : this.fail(`${value} is beyond ±2^53`, start);
  }

  bool(): boolean {
    const value = this.u8();
    return value <= 1 ? value === 1 : this.fail(`a bool must be 0 or 1, found ${value}`, this.offset - 1);
  }

  /** @throws EngineError model_file_invalid when longer than `maxBytes`, beyond the file, or not UTF-8 */
  string(maxBytes: number): string {
    const start = this.offset;
    const length = this.u64();
    if (length > maxBytes) this.fail(`a string of ${length} bytes; at most ${maxBytes}`, start);
    this.#need(length);
    const bytes = this.#window.subarray(this.#cursor, this.#cursor + length);
    this.#cursor += length;
    if (isAscii(bytes)) return bytes.toString('latin1');
    return isUtf8(bytes) ? bytes.toString('utf8') : this.fail('the string is not UTF-8', start);
  }

  /** A type number and its value. */
  value(): MetadataValue {
    const type = this.u32();
    return type === ARRAY_TYPE ? this.#array(1) : this.#scalar(type).read(this);
  }

  /** The next bytes as a view; valid until the next read. */
  view(byteLength: number): DataView {
    this.#need(byteLength);
    const view = new DataView(this.#view.buffer, this.#cursor, byteLength);
    this.#cursor += byteLength;
    return view;
  }

  #scalar(type: number): Scalar {
    return SCALARS[type] ?? this.fail(`unknown value type ${type}`, this.offset - 4);
  }

  #array(depth: number): MetadataArray {
    if (depth > MAX_ARRAY_DEPTH) this.fail(`arrays nested deeper than ${MAX_ARRAY_DEPTH}`);
    const type = this.u32();
    const scalar = type === ARRAY_TYPE ? undefined : this.#scalar(type);
    const start = this.offset;
    const length = this.u64();
    const leastBytes = scalar?.byteLength ?? 12;
    const remaining = this.#fileBytes - this.offset;
    if (length * leastBytes > remaining) {
      this.fail(`an array of ${length} elements cannot fit the ${remaining} bytes that follow`, start);
    }
    if (length > MAX_ARRAY_LENGTH) this.fail(`an array of ${length} elements; at most ${MAX_ARRAY_LENGTH}`, start);
    if (type === STRING_TYPE) return this.#strings(length);
    const values: unknown[] = [];
    for (let index = 0; index < length; index++) values.push(scalar ? scalar.read(this) : this.#array(depth + 1));
    return values as unknown as MetadataArray;
  }

  #strings(length: number): readonly string[] {
    const values: string[] = [];
    for (let index = 0; index < length; index++) values.push(this.string(MAX_STRING_BYTES));
    return values;
  }

  /** Makes the next `byteLength` bytes part of the window. */
  #need(byteLength: number): void {
    if (this.#cursor + byteLength <= this.#window.length) return;
    const start = this.offset;
    if (start + byteLength > this.#fileBytes) {
      this.fail(
        `${byteLength} bytes from here run past the end of the file (${this.#fileBytes} bytes): download it again`,
      );
    }
    if (start + byteLength > MAX_HEADER_BYTES) this.fail(`the header is longer than ${MAX_HEADER_BYTES} bytes`);
    const window = Buffer.alloc(Math.min(Math.max(byteLength, WINDOW_BYTES), this.#fileBytes - start));
    let filled = 0;
    while (filled < byteLength) {
      const numRead = this.#read(window.subarray(filled), start + filled);
      if (numRead === 0) this.fail('the file became shorter while it was read');
      filled += numRead;
    }
    this.#window = window.subarray(0, filled);
    this.#view = new DataView(window.buffer);
    this.#windowStart = start;
    this.#cursor = 0;
  }
}

const isAscii = (bytes: Uint8Array): boolean => {
  for (let index = 0; index < bytes.length; index++) if (bytes[index]! > 127) return false;
  return true;
};
