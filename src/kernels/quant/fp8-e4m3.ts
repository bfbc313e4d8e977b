import type { QuantFormat } from './quant-format.ts';

/** Eight-bit floats: sign, four bits of exponent with bias 7, three of fraction. Source: Micikevicius et al. 2022. */
const toNumber = (byte: number): number => {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if ((byte & 0x7f) === 0x7f) return Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (1 + fraction / 8) * 2 ** (exponent - 7);
};

/**
 * An F32 scale, then 32 of them: weight = scale · float. Published checkpoints have one scale for a square of weights.
 * The one NaN pattern is no number here and 480 on the device; no checkpoint has it.
 */
export const fp8_e4m3: QuantFormat = {
  name: 'fp8-e4m3',
  ggmlType: 'F8_E4M3',
  blockLength: 32,
  blockBytes: 36,
  streams: [
    { name: 'quants', byteOffset: 4, bytesPerBlock: 32, rowAlignment: 32 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 4, rowAlignment: 4 },
  ],
  shaders: ['quant/fp8-e4m3'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 36;
      out[i] = view.getFloat32(block, true) * toNumber(view.getUint8(block + 4 + (i % 32)));
    }
  },
};
