/** GGUF's metadata encoding, as far as the benches write it. Source: ggml's GGUF specification, version 3. */

/** Collects little-endian fields. */
export class ByteWriter {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  u32(value: number): void {
    const chunk = Buffer.alloc(4);
    chunk.writeUInt32LE(value);
    this.bytes(chunk);
  }

  u64(value: number): void {
    const chunk = Buffer.alloc(8);
    chunk.writeBigUInt64LE(BigInt(value));
    this.bytes(chunk);
  }

  f32(value: number): void {
    const chunk = Buffer.alloc(4);
    chunk.writeFloatLE(value);
    this.bytes(chunk);
  }

  string(value: string): void {
    const chunk = Buffer.from(value);
    this.u64(chunk.length);
    this.bytes(chunk);
  }

  concat(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** GGUF's ids of value types. */
const VALUE_TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** A metadata value with its GGUF type. */
export type Value =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly f32s: readonly number[] }
  | { readonly i32s: readonly number[] };

const writeArrayHeader = (writer: ByteWriter, elementType: number, length: number): void => {
  writer.u32(VALUE_TYPE.array);
  writer.u32(elementType);
  writer.u64(length);
};

/** Writes the value's type, then the value. */
export const writeValue = (writer: ByteWriter, value: Value): void => {
  if ('u32' in value) {
    writer.u32(VALUE_TYPE.u32);
    writer.u32(value.u32);
  } else if ('f32' in value) {
    writer.u32(VALUE_TYPE.f32);
    writer.f32(value.f32);
  } else if ('bool' in value) {
    writer.u32(VALUE_TYPE.bool);
    writer.bytes(Buffer.from([value.bool ? 1 : 0]));
  } else if ('string' in value) {
    writer.u32(VALUE_TYPE.string);
    writer.string(value.string);
  } else if ('strings' in value) {
    writeArrayHeader(writer, VALUE_TYPE.string, value.strings.length);
    for (const text of value.strings) writer.string(text);
  } else if ('f32s' in value) {
    writeArrayHeader(writer, VALUE_TYPE.f32, value.f32s.length);
    writer.bytes(Buffer.from(Float32Array.from(value.f32s).buffer));
  } else {
    writeArrayHeader(writer, VALUE_TYPE.i32, value.i32s.length);
    writer.bytes(Buffer.from(Int32Array.from(value.i32s).buffer));
  }
};
