import { kScaleAndMinimum, packKScales } from './k-scales.ts';
import { floatToHalf, halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 144;

/**
 * 256 weights of four bits: two F16 units, 12 bytes of eight scales and minima of 32 weights, 128 bytes of nibbles, weights
 * i and i + 32 of each 64 sharing a byte. weight = d · scale · q − dmin · minimum. Source: ggml's `block_q4_K`.
 */
export const q4_k: QuantFormat = {
  name: 'q4_k',
  ggmlType: 'Q4_K',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'quants', byteOffset: 16, bytesPerBlock: 128, rowAlignment: 16, nibbleDistance: 32 },
    { name: 'headers', byteOffset: 0, bytesPerBlock: 16, rowAlignment: 16 },
  ],
  shaders: ['lib/nibbles', 'lib/k-scales', 'lib/unscaled', 'quant/q4-k'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const part = Math.floor((i % 256) / 32);
      const byte = bytes[block + 16 + Math.floor(part / 2) * 32 + (i % 32)]!;
      const quant = part % 2 === 0 ? byte & 15 : byte >> 4;
      const [scale, minimum] = kScaleAndMinimum(bytes, block + 4, part);
      const shift = halfToFloat(view.getUint16(block + 2, true)) * minimum;
      out[i] = halfToFloat(view.getUint16(block, true)) * scale * quant - shift;
    }
  },
  quantize(values, out) {
    for (let block = 0; block < values.length / 256; block++) {
      quantizeBlock(
        values.subarray(block * 256, block * 256 + 256),
        out.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES),
      );
    }
  },
};

/** Fits each part by itself, rounds the parts' scales and minima to six bits, and chooses levels for what came of that. */
const quantizeBlock = (values: Float32Array, out: Uint8Array): void => {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const partOf = (part: number) => values.subarray(part * 32, part * 32 + 32);
  const fits = Array.from({ length: 8 }, (_, part) => fitPart(partOf(part)));
  const units = [0, 1].map((i) => floatToHalf(Math.max(...fits.map((fit) => fit[i]!)) / 63));
  const [scaleUnit, minimumUnit] = units.map(halfToFloat) as [number, number];
  const sixBits = (value: number, unit: number) => Math.max(0, Math.min(63, Math.round(value / (unit || 1))));
  const scales = fits.map(([scale]) => sixBits(scale, scaleUnit));
  const minima = fits.map(([, minimum]) => sixBits(minimum, minimumUnit));
  view.setUint16(0, units[0]!, true);
  view.setUint16(2, units[1]!, true);
  packKScales(scales, minima, out.subarray(4, 16));
  for (let part = 0; part < 8; part++) {
    const step = scaleUnit * scales[part]! || 1;
    const shift = minimumUnit * minima[part]!;
    const own = partOf(part);
    const at = 16 + (part >> 1) * 32;
    for (let i = 0; i < 32; i++) {
      const level = Math.max(0, Math.min(15, Math.round((own[i]! + shift) / step)));
      out[at + i] = part % 2 === 0 ? level : out[at + i]! | (level << 4);
    }
  }
};

/** Ranges that are tried: a narrower one clips the extremes and serves the rest better. */
const SHRINKS = [1, 0.97, 0.94, 0.9, 0.86];

/** Scale and minimum (≥ 0, subtracted) that keep the squared error least, by least squares over the levels of each range. */
const fitPart = (values: Float32Array): readonly [scale: number, minimum: number] => {
  let low = 0;
  let high = 0;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high) return [0, 0];
  let best: readonly [number, number] = [(high - low) / 15, -low];
  let bestError = Number.POSITIVE_INFINITY;
  for (const shrink of SHRINKS) {
    const fit = refine(values, (shrink * (high - low)) / 15, -low * shrink);
    if (fit.error < bestError) {
      bestError = fit.error;
      best = [fit.scale, fit.minimum];
    }
  }
  return best;
};

const refine = (values: Float32Array, scale: number, minimum: number) => {
  let [sum, sumLevels, sumSquares, sumProducts] = [0, 0, 0, 0];
  const levels = Array.from(values, (value) => Math.max(0, Math.min(15, Math.round((value + minimum) / scale))));
  for (const [i, level] of levels.entries()) {
    sum += values[i]!;
    sumLevels += level;
    sumSquares += level * level;
    sumProducts += level * values[i]!;
  }
  const spread = values.length * sumSquares - sumLevels * sumLevels;
  let [fitted, shift] = [scale, minimum];
  if (spread > 0) {
    fitted = (values.length * sumProducts - sum * sumLevels) / spread;
    shift = (fitted * sumLevels - sum) / values.length;
    // A minimum is not negative: without one, the line goes through zero.
    if (shift < 0) [fitted, shift] = [sumProducts / sumSquares, 0];
  }
  const error = levels.reduce((total, level, i) => total + (fitted * level - shift - values[i]!) ** 2, 0);
  return { scale: Math.max(0, fitted), minimum: shift, error };
};
