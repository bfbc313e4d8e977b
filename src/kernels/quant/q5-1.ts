import { halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * An F16 scale and an F16 minimum, 32 fifth bits, and 32 nibbles, weights i and i + 16 sharing a byte:
 * weight = scale · q + minimum. Source: ggml's `block_q5_1`.
 */
export const q5_1: QuantFormat = {
  name: 'q5_1',
  ggmlType: 'Q5_1',
  blockLength: 32,
  blockBytes: 24,
  streams: [
    { name: 'quants', byteOffset: 8, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'headers', byteOffset: 0, bytesPerBlock: 8, rowAlignment: 8 },
  ],
  shaders: ['lib/nibbles', 'lib/unscaled', 'quant/q5-1'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 24;
      const byte = view.getUint8(block + 8 + (i % 16));
      const low = i % 32 < 16 ? byte & 15 : byte >> 4;
      const high = (view.getUint32(block + 4, true) >>> (i % 32)) & 1;
      const minimum = halfToFloat(view.getUint16(block + 2, true));
      out[i] = halfToFloat(view.getUint16(block, true)) * (low | (high << 4)) + minimum;
    }
  },
};
