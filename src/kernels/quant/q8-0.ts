import { halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * 32 signed bytes after an F16 scale: weight = scale · q.
 * Source: ggml's `block_q8_0`.
 */
export const q8_0: QuantFormat = {
  name: 'q8_0',
  ggmlType: 'Q8_0',
  blockLength: 32,
  blockBytes: 34,
  streams: [
    { name: 'quants', byteOffset: 2, bytesPerBlock: 32, rowAlignment: 32 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/half-scales', 'quant/q8-0'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 34;
      out[i] = halfToFloat(view.getUint16(block, true)) * view.getInt8(block + 2 + (i % 32));
    }
  },
};
