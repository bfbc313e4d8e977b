/** Seeded random numbers, F16 values and GGUF rows for kernel tests and benches. */
import { halfToFloat, type QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import { rowBytes } from '../../src/kernels/weight-matrix.ts';

/** Uniform numbers in [0, 1), the same for the same seed. Source: mulberry32. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Uniform in [-1, 1). */
export const randomFloats = (length: number, random: () => number): Float32Array =>
  Float32Array.from({ length }, () => random() * 2 - 1);

/** F16 bit patterns with magnitude below 1, and their values. */
export const randomHalves = (length: number, random: () => number): { bits: Uint16Array; values: Float32Array } => {
  const bits = Uint16Array.from({ length }, () => Math.floor(random() * 0x3c00) | (random() < 0.5 ? 0x8000 : 0));
  return { bits, values: Float32Array.from(bits, halfToFloat) };
};

/** Where a block keeps F16 numbers, which random bytes would make infinite or not a number. */
const halfOffsets: Readonly<Record<string, readonly number[]>> = {
  f16: [0],
  q8_0: [0],
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
  iq4_nl: [0],
  iq4_xs: [0],
  'affine4-f16': [0, 2],
  'affine8-f16': [0, 2],
};

/** Where a block keeps the byte with (most of) an exponent of eight bits. */
const exponentOffsets: Readonly<Record<string, readonly number[]>> = {
  f32: [3],
  bf16: [1],
  mxfp4: [0],
  'mxfp4-pairs': [0],
  'affine4-bf16': [1, 3],
  'affine8-bf16': [1, 3],
  'fp8-e4m3': [3],
};

/** Random GGUF rows: every byte pattern of the quants occurs, scales are finite, below 1 and no subnormals. */
export const randomRows = (format: QuantFormat, rows: number, columns: number, random: () => number): Uint8Array => {
  const bytes = Uint8Array.from({ length: rows * rowBytes(format, columns) }, () => Math.floor(random() * 256));
  const exponents = exponentOffsets[format.name];
  if (exponents) {
    // The top bit of an F32 or BF16 is its sign; an exponent alone has none.
    const [sign, exponent] = format.name.startsWith('mxfp4') ? [0, 0x70] : [0x80, 0x38];
    for (let block = 0; block < bytes.length; block += format.blockBytes) {
      for (const at of exponents.map((offset) => block + offset)) bytes[at] = (bytes[at]! & (sign | 7)) | exponent;
      // E4M3's NaN.
      if (format.name === 'fp8-e4m3') {
        for (let i = block + 4; i < block + 36; i++) if ((bytes[i]! & 0x7f) === 0x7f) bytes[i]! ^= 1;
      }
    }
    return bytes;
  }
  const offsets = halfOffsets[format.name];
  if (!offsets) throw new Error(`say in halfOffsets where blocks of ${format.name} keep F16 numbers`);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < bytes.length; block += format.blockBytes) {
    for (const offset of offsets) {
      const exponent = 9 + Math.floor(random() * 6);
      view.setUint16(block + offset, (view.getUint16(block + offset, true) & 0x83ff) | (exponent << 10), true);
    }
  }
  return bytes;
};
