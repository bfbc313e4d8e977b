import { halfToFloat, type QuantFormat } from './quant-format.ts';

/** Half precision: a block is one weight. Decoded with `unpack2x16float`, so it needs no shader-f16. */
export const f16: QuantFormat = {
  name: 'f16',
  ggmlType: 'F16',
  blockLength: 1,
  blockBytes: 2,
  streams: [{ name: 'weights', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 64 }],
  shaders: ['lib/unscaled', 'quant/f16'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) out[i] = halfToFloat(view.getUint16(i * 2, true));
  },
};
