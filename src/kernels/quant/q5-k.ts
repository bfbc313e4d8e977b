import { kScaleAndMinimum } from './k-scales.ts';
import { halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 176;

/**
 * Q4_K with a plane of fifth bits: two F16 units, 12 bytes of scales and minima, 32 bytes whose bit p is the fifth bit of
 * part p's weight, 128 bytes of nibbles. weight = d · scale · q − dmin · minimum. Source: ggml's `block_q5_K`.
 */
export const q5_k: QuantFormat = {
  name: 'q5_k',
  ggmlType: 'Q5_K',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'quants', byteOffset: 48, bytesPerBlock: 128, rowAlignment: 16, nibbleDistance: 32 },
    { name: 'headers', byteOffset: 0, bytesPerBlock: 16, rowAlignment: 16 },
    { name: 'highBits', byteOffset: 16, bytesPerBlock: 32, rowAlignment: 16 },
  ],
  shaders: ['lib/nibbles', 'lib/k-scales', 'lib/unscaled', 'quant/q5-k'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const part = Math.floor((i % 256) / 32);
      const byte = bytes[block + 48 + Math.floor(part / 2) * 32 + (i % 32)]!;
      const low = part % 2 === 0 ? byte & 15 : byte >> 4;
      const high = (bytes[block + 16 + (i % 32)]! >> part) & 1;
      const [scale, minimum] = kScaleAndMinimum(bytes, block + 4, part);
      const shift = halfToFloat(view.getUint16(block + 2, true)) * minimum;
      out[i] = halfToFloat(view.getUint16(block, true)) * scale * (low | (high << 4)) - shift;
    }
  },
};
