import { halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 110;

/**
 * 256 weights of three bits: 32 bytes of third bits, 64 of bit pairs, 12 of sixteen six-bit scales, one F16.
 * weight = d · (scale − 32) · (q − 4). Source: ggml's `block_q3_K`.
 */
export const q3_k: QuantFormat = {
  name: 'q3_k',
  ggmlType: 'Q3_K',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'quants', byteOffset: 32, bytesPerBlock: 64, rowAlignment: 16 },
    { name: 'highBits', byteOffset: 0, bytesPerBlock: 32, rowAlignment: 16 },
    // Scales and the F16, in a whole vector though the block ends two bytes before it.
    { name: 'headers', byteOffset: 96, bytesPerBlock: 16, rowAlignment: 16 },
  ],
  shaders: ['lib/unscaled', 'quant/q3-k'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const half = Math.floor((i % 256) / 128);
      const quarter = Math.floor((i % 128) / 32);
      const low = (bytes[block + 32 + half * 32 + (i % 32)]! >> (2 * quarter)) & 3;
      const high = (bytes[block + (i % 32)]! >> (4 * half + quarter)) & 1;
      const scale = scaleOf(bytes, block + 96, Math.floor((i % 256) / 16));
      out[i] = halfToFloat(view.getUint16(block + 108, true)) * (scale - 32) * ((low | (high << 2)) - 4);
    }
  },
};

/** Low nibbles of scales i and i + 8 share byte i; the upper two bits of i, i + 4, i + 8 and i + 12 share byte 8 + i. */
const scaleOf = (bytes: Uint8Array, start: number, index: number): number => {
  const low = (bytes[start + (index % 8)]! >> (index < 8 ? 0 : 4)) & 15;
  const high = (bytes[start + 8 + (index % 4)]! >> (2 * Math.floor(index / 4))) & 3;
  return low | (high << 4);
};
