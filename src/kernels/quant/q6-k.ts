import { halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 210;

/**
 * 256 weights of six bits: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales of 16 weights, one F16.
 * weight = d · scale · (q − 32). Source: ggml's `block_q6_K`.
 */
export const q6_k: QuantFormat = {
  name: 'q6_k',
  ggmlType: 'Q6_K',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'lowBits', byteOffset: 0, bytesPerBlock: 128, rowAlignment: 16 },
    { name: 'highBits', byteOffset: 128, bytesPerBlock: 64, rowAlignment: 16 },
    { name: 'scales', byteOffset: 192, bytesPerBlock: 16, rowAlignment: 16 },
    // A word a block, though the block ends after its first half: rows then need no padding, and the rest is not read.
    { name: 'blockScales', byteOffset: 208, bytesPerBlock: 4, rowAlignment: 4 },
  ],
  shaders: ['quant/q6-k'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const half = Math.floor((i % 256) / 128);
      const quarter = Math.floor((i % 128) / 32);
      const lane = i % 32;
      const low = (bytes[block + half * 64 + (quarter % 2) * 32 + lane]! >> (quarter < 2 ? 0 : 4)) & 15;
      const high = (bytes[block + 128 + half * 32 + lane]! >> (2 * quarter)) & 3;
      const scale = view.getInt8(block + 192 + half * 8 + quarter * 2 + Math.floor(lane / 16));
      out[i] = halfToFloat(view.getUint16(block + 208, true)) * scale * ((low | (high << 4)) - 32);
    }
  },
};
