import type { QuantFormat } from './quant-format.ts';

/** E2M1: sign, two bits of exponent, one of fraction. */
const LEVELS: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];

/**
 * 32 four-bit floats after one exponent, weights i and i + 16 sharing a byte: weight = 2^(exponent − 127) · level[q].
 * Exponents 0 and 1, whose product with the smallest level is no normal F32, count as zero on the device.
 * Source: OCP Microscaling Formats v1.0; ggml's `block_mxfp4`.
 */
export const mxfp4: QuantFormat = {
  name: 'mxfp4',
  ggmlType: 'MXFP4',
  blockLength: 32,
  blockBytes: 17,
  streams: [
    { name: 'quants', byteOffset: 1, bytesPerBlock: 16, rowAlignment: 16, nibbleDistance: 16 },
    // The byte after the exponent is not read: it makes pairs of them whole words.
    { name: 'exponents', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/nibbles', 'quant/mxfp4'],
  dequantize(bytes, out) {
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 17;
      const byte = bytes[block + 1 + (i % 16)]!;
      out[i] = 2 ** (bytes[block]! - 127) * LEVELS[i % 32 < 16 ? byte & 15 : byte >> 4]!;
    }
  },
};
