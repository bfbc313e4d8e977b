import type { QuantFormat } from './quant-format.ts';

/** The upper half of single precision: a block is one weight. */
export const bf16: QuantFormat = {
  name: 'bf16',
  ggmlType: 'BF16',
  blockLength: 1,
  blockBytes: 2,
  streams: [{ name: 'weights', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 64 }],
  shaders: ['lib/unscaled', 'quant/bf16'],
  dequantize(bytes, out) {
    const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const target = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
    for (let i = 0; i < out.length; i++) {
      target.setUint32(i * 4, source.getUint16(i * 2, true) * 0x10000, isLittleEndian);
    }
  },
};
