import { halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * 32 nibbles after an F16 scale and an F16 minimum, weights i and i + 16 sharing a byte: weight = scale · q + minimum.
 * Source: ggml's `block_q4_1`.
 */
export const q4_1: QuantFormat = {
  name: 'q4_1',
  ggmlType: 'Q4_1',
  blockLength: 32,
  blockBytes: 20,
  streams: [
    { name: 'quants', byteOffset: 4, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 4, rowAlignment: 4 },
  ],
  shaders: ['lib/nibbles', 'lib/unscaled', 'quant/q4-1'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 20;
      const byte = view.getUint8(block + 4 + (i % 16));
      const quant = i % 32 < 16 ? byte & 15 : byte >> 4;
      out[i] = halfToFloat(view.getUint16(block, true)) * quant + halfToFloat(view.getUint16(block + 2, true));
    }
  },
};
