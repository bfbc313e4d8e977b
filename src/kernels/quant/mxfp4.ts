import type { QuantFormat } from './quant-format.ts';

/** E2M1: sign, two bits of exponent, one of fraction. */
const LEVELS: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];

/**
 * 32 four-bit floats after one exponent: weight = 2^(exponent − 127) · level[q].
 * Exponents 0 and 1, whose product with the smallest level is no normal F32, count as zero on the device.
 * Source: OCP Microscaling Formats v1.0.
 */
const mxfp4Format = (
  format: Pick<QuantFormat, 'name' | 'ggmlType'> & {
    /** Which byte, and whether its high nibble, has weight i. */
    readonly placeOf: (i: number) => readonly [byte: number, isHigh: boolean];
    readonly nibbleDistance?: number;
    readonly library: string;
  },
): QuantFormat => ({
  name: format.name,
  ggmlType: format.ggmlType,
  blockLength: 32,
  blockBytes: 17,
  streams: [
    {
      name: 'quants',
      byteOffset: 1,
      bytesPerBlock: 16,
      rowAlignment: 16,
      ...(format.nibbleDistance === undefined ? {} : { nibbleDistance: format.nibbleDistance }),
    },
    // The byte after the exponent is not read: it makes pairs of them whole words.
    { name: 'exponents', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: [format.library, 'lib/levels', 'quant/mxfp4'],
  dequantize(bytes, out) {
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 17;
      const [at, isHigh] = format.placeOf(i % 32);
      const byte = bytes[block + 1 + at]!;
      out[i] = 2 ** (bytes[block]! - 127) * LEVELS[isHigh ? byte >> 4 : byte & 15]!;
    }
  },
});

/** As GGUF files have it: weights i and i + 16 share a byte. Source: ggml's `block_mxfp4`. */
export const mxfp4 = mxfp4Format({
  name: 'mxfp4',
  ggmlType: 'MXFP4',
  placeOf: (i) => [i % 16, i >= 16],
  nibbleDistance: 16,
  library: 'lib/nibbles',
});

/** As gpt-oss is published: neighbours share a byte, the first in its low nibble. Source: gpt-oss reference code. */
export const mxfp4Pairs = mxfp4Format({
  name: 'mxfp4-pairs',
  ggmlType: 'MXFP4_PAIRS',
  placeOf: (i) => [i >> 1, i % 2 === 1],
  library: 'lib/nibble-pairs',
});
