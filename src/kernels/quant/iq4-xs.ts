import { IQ4_LEVELS } from './iq4-nl.ts';
import { halfToFloat, type QuantFormat } from './quant-format.ts';

const BLOCK_BYTES = 136;

/**
 * 256 nibbles in parts of 32, weights i and i + 16 sharing a byte, after one F16 and eight six-bit scales (two bytes of
 * upper bit pairs, four of nibbles): weight = d · (scale − 32) · level[q]. Source: ggml's `block_iq4_xs`.
 */
export const iq4_xs: QuantFormat = {
  name: 'iq4_xs',
  ggmlType: 'IQ4_XS',
  blockLength: 256,
  blockBytes: BLOCK_BYTES,
  streams: [
    { name: 'quants', byteOffset: 8, bytesPerBlock: 128, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'headers', byteOffset: 0, bytesPerBlock: 8, rowAlignment: 8 },
  ],
  shaders: ['lib/nibbles', 'lib/levels', 'lib/iq4-levels', 'lib/unscaled', 'quant/iq4-xs'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 256) * BLOCK_BYTES;
      const part = Math.floor((i % 256) / 32);
      const low = (bytes[block + 4 + Math.floor(part / 2)]! >> (4 * (part % 2))) & 15;
      const high = (view.getUint16(block + 2, true) >> (2 * part)) & 3;
      const byte = bytes[block + 8 + part * 16 + (i % 16)]!;
      const level = IQ4_LEVELS[i % 32 < 16 ? byte & 15 : byte >> 4]!;
      out[i] = halfToFloat(view.getUint16(block, true)) * ((low | (high << 4)) - 32) * level;
    }
  },
};
