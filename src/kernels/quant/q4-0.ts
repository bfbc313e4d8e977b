import { floatToHalf, halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * 32 nibbles after an F16 scale, weights i and i + 16 sharing a byte: weight = scale · (q − 8).
 * Source: ggml's `block_q4_0`.
 */
export const q4_0: QuantFormat = {
  name: 'q4_0',
  ggmlType: 'Q4_0',
  blockLength: 32,
  blockBytes: 18,
  streams: [
    { name: 'quants', byteOffset: 2, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/nibbles', 'lib/half-scales', 'quant/q4-0'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 18;
      const byte = view.getUint8(block + 2 + (i % 16));
      const quant = i % 32 < 16 ? byte & 15 : byte >> 4;
      out[i] = halfToFloat(view.getUint16(block, true)) * (quant - 8);
    }
  },
  quantize(values, out) {
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    for (let block = 0; block < values.length / 32; block++) {
      const own = values.subarray(block * 32, block * 32 + 32);
      // The levels reach one step further below zero than above: the extreme goes there, whatever its sign.
      const scale = floatToHalf(extreme(own) / -8);
      view.setUint16(block * 18, scale, true);
      const step = halfToFloat(scale) || 1;
      const level = (i: number): number => Math.max(0, Math.min(15, Math.round(own[i]! / step) + 8));
      for (let i = 0; i < 16; i++) view.setUint8(block * 18 + 2 + i, level(i) | (level(i + 16) << 4));
    }
  },
};

/** The value of the greatest magnitude. */
const extreme = (values: Float32Array): number => {
  let found = 0;
  for (const value of values) if (Math.abs(value) > Math.abs(found)) found = value;
  return found;
};
