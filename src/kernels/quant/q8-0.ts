import { floatToHalf, halfToFloat, type QuantFormat } from './quant-format.ts';

/**
 * 32 signed bytes after an F16 scale: weight = scale · q.
 * Source: ggml's `block_q8_0`.
 */
export const q8_0: QuantFormat = {
  name: 'q8_0',
  ggmlType: 'Q8_0',
  blockLength: 32,
  blockBytes: 34,
  streams: [
    { name: 'quants', byteOffset: 2, bytesPerBlock: 32, rowAlignment: 32 },
    { name: 'scales', byteOffset: 0, bytesPerBlock: 2, rowAlignment: 4 },
  ],
  shaders: ['lib/half-scales', 'quant/q8-0'],
  dequantize(bytes, out) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < out.length; i++) {
      const block = Math.floor(i / 32) * 34;
      out[i] = halfToFloat(view.getUint16(block, true)) * view.getInt8(block + 2 + (i % 32));
    }
  },
  quantize(values, out) {
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    for (let block = 0; block < values.length / 32; block++) {
      const own = values.subarray(block * 32, block * 32 + 32);
      const scale = floatToHalf(largest(own) / 127);
      view.setUint16(block * 34, scale, true);
      const step = halfToFloat(scale) || 1;
      for (let i = 0; i < 32; i++) {
        view.setInt8(block * 34 + 2 + i, Math.max(-127, Math.min(127, Math.round(own[i]! / step))));
      }
    }
  },
};

const largest = (values: Float32Array): number => {
  let magnitude = 0;
  for (const value of values) magnitude = Math.max(magnitude, Math.abs(value));
  return magnitude;
};
