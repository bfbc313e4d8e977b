import { kScaleAndMinimum } from './k-scales.ts';
import { halfToFloat, type QuantFormat } from './quant-format.ts';

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
};
