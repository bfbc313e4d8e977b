import { halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * An F16 scale, 32 fifth bits, and 32 nibbles, weights i and i + 16 sharing a byte: weight = scale · (q − 16).
 * Source: ggml's `block_q5_0`.
 */
export const q5_0: QuantFormat = {
  name: 'q5_0',
  ggmlType: 'Q5_0',
  blockLength: 32,
  blockBytes: 22,
  streams: [
    { name: 'quants', byteOffset: 6, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'highBits', byteOffset: 2, bytesPerBlock: 4, rowAlignment: 4 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/nibbles', 'lib/half-scales', 'quant/q5-0'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 22;
      const byte = view.getUint8(block + 6 + (i % 16));
      const low = i % 32 < 16 ? byte & 15 : byte >> 4;
      const high = (view.getUint32(block + 2, true) >>> (i % 32)) & 1;
      out[i] = halfToFloat(view.getUint16(block, true)) * ((low | (high << 4)) - 16);
    }
  },
};
