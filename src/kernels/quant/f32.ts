import type { QuantFormat } from './quant-format.ts';

/** Single precision: a block is one weight. */
export const f32: QuantFormat = {
  name: 'f32',
  ggmlType: 'F32',
  blockLength: 1,
  blockBytes: 4,
  streams: [{ name: 'weights', byteOffset: 0, bytesPerBlock: 4, rowAlignment: 128 }],
  shaders: ['lib/unscaled', 'quant/f32'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(i * 4, true);
  },
};
