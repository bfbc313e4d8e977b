import { halfToFloat, type QuantFormat } from './quant-format.ts';

/** What a nibble of the IQ4 types stands for. Source: ggml's `kvalues_iq4nl`. */
export const IQ4_LEVELS: readonly number[] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/**
 * 32 nibbles after an F16 scale, weights i and i + 16 sharing a byte: weight = scale · level[q].
 * Source: ggml's `block_iq4_nl`.
 */
export const iq4_nl: QuantFormat = {
  name: 'iq4_nl',
  ggmlType: 'IQ4_NL',
  blockLength: 32,
  blockBytes: 18,
  streams: [
    { name: 'quants', byteOffset: 2, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/nibbles', 'lib/levels', 'lib/iq4-levels', 'lib/half-scales', 'quant/iq4-nl'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 18;
      const byte = view.getUint8(block + 2 + (i % 16));
      out[i] = halfToFloat(view.getUint16(block, true)) * IQ4_LEVELS[i % 32 < 16 ? byte & 15 : byte >> 4]!;
    }
  },
};
