import { halfToFloat, type QuantFormat } from './quant-format.ts';

const SCALES = {
  f16: halfToFloat,
  bf16: (bits: number): number => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!,
};

/**
 * MLX's affine quantization in blocks of 32, whatever its groups: scale and bias (F16 or BF16), then the weights in order,
 * the first in the lowest bits: weight = scale · q + bias.
 * Source: MLX, `quantize` and `dequantize`.
 */
const affine = (bits: 4 | 8, scaleType: keyof typeof SCALES): QuantFormat => {
  const quantBytes = 4 * bits;
  const blockBytes = 4 + quantBytes;
  const toNumber = SCALES[scaleType];
  return {
    name: `affine${bits}-${scaleType}`,
    ggmlType: `AFFINE${bits}_${scaleType.toUpperCase()}`,
    blockLength: 32,
    blockBytes,
    streams: [
      { name: 'quants', byteOffset: 4, bytesPerBlock: quantBytes, rowAlignment: quantBytes },
      { name: 'pairs', byteOffset: 0, bytesPerBlock: 4, rowAlignment: 4 },
    ],
    shaders: [
      ...(bits === 4 ? ['lib/nibble-pairs'] : []),
      `lib/pair-${scaleType}`,
      'lib/unscaled',
      `quant/affine${bits}`,
    ],
    dequantize(bytes, out) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let i = 0; i < out.length; i++) {
        const block = Math.floor(i / 32) * blockBytes;
        const bit = (i % 32) * bits;
        const quant = (view.getUint8(block + 4 + (bit >> 3)) >> (bit & 7)) & (2 ** bits - 1);
        out[i] = toNumber(view.getUint16(block, true)) * quant + toNumber(view.getUint16(block + 2, true));
      }
    },
  };
};

export const affine4F16 = affine(4, 'f16');
export const affine4Bf16 = affine(4, 'bf16');
export const affine8F16 = affine(8, 'f16');
export const affine8Bf16 = affine(8, 'bf16');
