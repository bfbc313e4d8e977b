/** What a weight format is: its GGUF block, its reference decoding, and the streams that kernels read instead of blocks. */

/**
 * A part of every GGUF block, gathered per row into one buffer so that kernels read aligned words.
 * A row's bytes are its blocks' parts in order, zero-padded to a multiple of `rowAlignment`.
 */
export interface WeightStream {
  /** The binding in the format's WGSL file. */
  readonly name: string;
  /** Where the part begins in the GGUF block. */
  readonly byteOffset: number;
  readonly bytesPerBlock: number;
  /** Bytes, a multiple of 4. */
  readonly rowAlignment: number;
  /**
   * Set for 4-bit parts whose byte keeps weights i and i + nibbleDistance. The stream keeps weights 8n … 8n + 3 in the low
   * and 8n + 4 … 8n + 7 in the high nibbles of word n instead, so that one word decodes to eight neighbours.
   */
  readonly nibbleDistance?: number;
}

/**
 * A way to store a matrix row as blocks. Adding one takes this object and `shaders/quant/<name>.wgsl`, which together with
 * the library files it names binds the streams at 0 to 3 and defines `Chunk`, `CHUNK_QUADS`, `loadChunk` (what one 16-byte
 * load brings, and what belongs to it), `decodeQuad` (four neighbours of it) and `loadScale` (what they are multiplied by
 * in the end, by row and block of 32). Every row has whole blocks of 32.
 */
export interface QuantFormat {
  readonly name: string;
  /** The type's name in GGUF files. */
  readonly ggmlType: string;
  /** Weights in a block; a row has whole blocks. */
  readonly blockLength: number;
  readonly blockBytes: number;
  readonly streams: readonly WeightStream[];
  /** Files in shaders/, without ending: what decodes the streams. */
  readonly shaders: readonly string[];
  /** Decodes whole GGUF blocks into `out`, exactly: the reference for every kernel. */
  dequantize(bytes: Uint8Array, out: Float32Array): void;
  /** Encodes whole blocks of `values` into `out`, as near as the format gets without looking at activations. */
  quantize?(values: Float32Array, out: Uint8Array): void;
}

/** Decodes one IEEE 754 half-precision bit pattern. */
export const halfToFloat = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** The nearest F16, ties to even, as its bit pattern; beyond its range an infinity. */
export const floatToHalf = (value: number): number => {
  floatBits[0] = value;
  const word = wordBits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below the least normal number the step is fixed: 2⁻²⁴.
  if (magnitude < 0x38800000) return sign | roundHalfEven(Math.abs(value) * 2 ** 24);
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
};

const roundHalfEven = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
};
