/**
 * Decodes blocks the way ggml walks them (byte by byte in file order, writing weights as it goes), to hold against the
 * index arithmetic of src/kernels/quant. Source: ggml-quants.c, `dequantize_row_*`.
 */
import { halfToFloat } from '../../src/kernels/quant/quant-format.ts';

type Decode = (block: DataView) => number[];

const half = (block: DataView, at: number): number => halfToFloat(block.getUint16(at, true));

/** Low nibbles of 16 bytes, then their high ones; `bits` gives each weight's fifth bit. */
const nibbles = (block: DataView, at: number, bits = 0): number[] => {
  const low: number[] = [];
  const high: number[] = [];
  for (let j = 0; j < 16; j++) {
    const byte = block.getUint8(at + j);
    low.push((byte & 15) + 16 * ((bits >>> j) & 1));
    high.push((byte >>> 4) + 16 * ((bits >>> (j + 16)) & 1));
  }
  return [...low, ...high];
};

const q2k: Decode = (block) => {
  const [d, minimum] = [half(block, 80), half(block, 82)];
  const y: number[] = [];
  let scaleAt = 0;
  for (let q = 16; q < 80; q += 32) {
    for (let shift = 0; shift < 8; shift += 2) {
      for (const start of [0, 16]) {
        const scale = block.getUint8(scaleAt++);
        for (let l = 0; l < 16; l++) {
          const quant = (block.getUint8(q + start + l) >>> shift) & 3;
          y.push(d * (scale & 15) * quant - minimum * (scale >>> 4));
        }
      }
    }
  }
  return y;
};

const q3k: Decode = (block) => {
  const aux = [block.getUint32(96, true), block.getUint32(100, true), block.getUint32(104, true), 0];
  const tops = aux[2]!;
  aux[2] = ((aux[0]! >>> 4) & 0x0f0f0f0f) | (((tops >>> 4) & 0x03030303) << 4);
  aux[3] = ((aux[1]! >>> 4) & 0x0f0f0f0f) | (((tops >>> 6) & 0x03030303) << 4);
  aux[0] = (aux[0]! & 0x0f0f0f0f) | ((tops & 0x03030303) << 4);
  aux[1] = (aux[1]! & 0x0f0f0f0f) | (((tops >>> 2) & 0x03030303) << 4);
  const scales = new Int8Array(Int32Array.from(aux).buffer);
  const d = half(block, 108);
  const y: number[] = [];
  let mask = 1;
  let scaleAt = 0;
  for (let q = 32; q < 96; q += 32) {
    for (let shift = 0; shift < 8; shift += 2) {
      for (const start of [0, 16]) {
        const scale = d * (scales[scaleAt++]! - 32);
        for (let l = start; l < start + 16; l++) {
          const quant = (block.getUint8(q + l) >>> shift) & 3;
          y.push(scale * (quant - (block.getUint8(l) & mask ? 0 : 4)));
        }
      }
      mask <<= 1;
    }
  }
  return y;
};

/** The six-bit scales of `get_scale_min_k4`, all eight pairs, unpacked as a bit string is read. */
const kScales = (block: DataView): { scales: number[]; minima: number[] } => {
  const bytes = Array.from({ length: 12 }, (_, i) => block.getUint8(4 + i));
  const scales = [0, 1, 2, 3].map((i) => bytes[i]! % 64);
  const minima = [4, 5, 6, 7].map((i) => bytes[i]! % 64);
  for (let i = 0; i < 4; i++) {
    scales.push((bytes[8 + i]! % 16) + Math.floor(bytes[i]! / 64) * 16);
    minima.push(Math.floor(bytes[8 + i]! / 16) + Math.floor(bytes[4 + i]! / 64) * 16);
  }
  return { scales, minima };
};

const q45k = (block: DataView, quantsAt: number, highAt: number | undefined): number[] => {
  const [d, minimum] = [half(block, 0), half(block, 2)];
  const { scales, minima } = kScales(block);
  const y: number[] = [];
  for (let pair = 0; pair < 4; pair++) {
    for (const upper of [0, 1]) {
      const part = 2 * pair + upper;
      for (let l = 0; l < 32; l++) {
        const byte = block.getUint8(quantsAt + 32 * pair + l);
        const isSet = highAt !== undefined && (block.getUint8(highAt + l) & (1 << part)) !== 0;
        const quant = (upper ? byte >>> 4 : byte & 15) + (isSet ? 16 : 0);
        y.push(d * scales[part]! * quant - minimum * minima[part]!);
      }
    }
  }
  return y;
};

const IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const iq4xs: Decode = (block) => {
  const d = half(block, 0);
  const upper = block.getUint16(2, true);
  const y: number[] = [];
  for (let part = 0; part < 8; part++) {
    const byte = block.getUint8(4 + (part >> 1));
    const scale = ((part % 2 ? byte >>> 4 : byte & 15) | (((upper >>> (2 * part)) & 3) << 4)) - 32;
    y.push(...nibbles(block, 8 + 16 * part).map((quant) => d * scale * IQ4[quant]!));
  }
  return y;
};

/** E2M1 from its bits, not from a table. */
const floatOfFourBits = (bits: number): number => {
  const exponent = (bits >> 1) & 3;
  const fraction = bits & 1;
  const size = exponent === 0 ? fraction / 2 : (1 + fraction / 2) * 2 ** (exponent - 1);
  return bits & 8 ? -size : size;
};

/** By GGUF type: the weights of one block. */
export const GGML_BLOCKS: Readonly<Record<string, Decode>> = {
  BF16: (block) => [new Float32Array(Uint32Array.of(block.getUint16(0, true) << 16).buffer)[0]!],
  Q4_1: (block) => nibbles(block, 4).map((quant) => half(block, 0) * quant + half(block, 2)),
  Q5_0: (block) => nibbles(block, 6, block.getUint32(2, true)).map((quant) => half(block, 0) * (quant - 16)),
  Q5_1: (block) => nibbles(block, 8, block.getUint32(4, true)).map((quant) => half(block, 0) * quant + half(block, 2)),
  Q2_K: q2k,
  Q3_K: q3k,
  Q4_K: (block) => q45k(block, 16, undefined),
  Q5_K: (block) => q45k(block, 48, 16),
  IQ4_NL: (block) => nibbles(block, 2).map((quant) => half(block, 0) * IQ4[quant]!),
  IQ4_XS: iq4xs,
  MXFP4: (block) => nibbles(block, 1).map((quant) => 2 ** (block.getUint8(0) - 127) * floatOfFourBits(quant)),
};
