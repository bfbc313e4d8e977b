import { halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 84;

/**
 * 256 weights of two bits: 16 bytes of scale (low nibble) and minimum (high nibble) for 16 weights each, 64 bytes of bit
 * pairs, F16 units of both. weight = d · scale · q − dmin · minimum. Source: ggml's `block_q2_K`.
 */
export const q2_k: QuantFormat = {
  name: 'q2_k',
  ggmlType: 'Q2_K',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'quants', byteOffset: 16, bytesPerBlock: 64, rowAlignment: 16 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 16, rowAlignment: 16 },
    { name: 'blockScales', byteOffset: 80, bytesPerBlock: 4, rowAlignment: 4 },
  ],
  shaders: ['lib/unscaled', 'quant/q2-k'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const half = Math.floor((i % 256) / 128);
      const quarter = Math.floor((i % 128) / 32);
      const scale = bytes[block + Math.floor((i % 256) / 16)]!;
      const quant = (bytes[block + 16 + half * 32 + (i % 32)]! >> (2 * quarter)) & 3;
      const minimum = halfToFloat(view.getUint16(block + 82, true)) * (scale >> 4);
      out[i] = halfToFloat(view.getUint16(block + 80, true)) * (scale & 15) * quant - minimum;
    }
  },
};
