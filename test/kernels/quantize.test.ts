/** Encoding weights: near the original, exact on what the format can say, and safe at the extremes. */
import { describe, expect, test } from 'vitest';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import type { QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import { nmse } from '../../src/kernels/reference.ts';
import { randomRows, seededRandom } from '../support/random-weights.ts';

const FORMATS = QUANT_FORMATS.filter((format) => format.quantize !== undefined);
/** On normally distributed weights; a little above what llama.cpp's quantizers get. */
const MAX_NMSE: Readonly<Record<string, number>> = { q8_0: 4e-5, q4_0: 1e-2, q4_k: 7e-3 };

const roundTrip = (format: QuantFormat, values: Float32Array): Float32Array => {
  const bytes = new Uint8Array((values.length / format.blockLength) * format.blockBytes);
  format.quantize!(values, bytes);
  const back = new Float32Array(values.length);
  format.dequantize(bytes, back);
  return back;
};

/** Standard normal numbers. Source: Box and Muller 1958. */
const normals = (length: number, random: () => number): Float32Array =>
  Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));

test('the formats that --quantize names can encode', () => {
  expect(FORMATS.map(({ name }) => name).sort()).toEqual(['q4_0', 'q4_k', 'q8_0']);
});

describe.each(FORMATS)('$name', (format) => {
  test.each([1, 0.01, 300])('weights of size %f come back near', (size) => {
    const values = normals(64 * 256, seededRandom(3)).map((value) => value * size);
    expect(nmse(roundTrip(format, values), values)).toBeLessThan(MAX_NMSE[format.name]!);
  });

  test('zeros, one value alone, and weights of one sign come back', () => {
    const zeros = new Float32Array(256);
    expect([...roundTrip(format, zeros)].every((value) => value === 0)).toBe(true);
    const alone = zeros.slice();
    alone[100] = -0.75;
    expect(nmse(roundTrip(format, alone), alone)).toBeLessThan(1e-3);
    const random = seededRandom(4);
    for (const sign of [1, -1]) {
      const values = Float32Array.from({ length: 1024 }, () => sign * (0.5 + random()));
      expect(nmse(roundTrip(format, values), values)).toBeLessThan(MAX_NMSE[format.name]!);
    }
  });
});

test('what Q8_0 can say is said exactly', () => {
  const format = FORMATS.find(({ name }) => name === 'q8_0')!;
  const bytes = randomRows(format, 4, 256, seededRandom(9));
  // Each block has a weight of ±127 steps: the encoder's scale is then the decoder's.
  for (let block = 0; block < bytes.length; block += 34) bytes[block + 2] = block % 68 === 0 ? 127 : 129;
  for (let i = 0; i < bytes.length; i++) if (i % 34 > 1 && bytes[i] === 128) bytes[i] = 129;
  const values = new Float32Array(4 * 256);
  format.dequantize(bytes, values);
  // + 0: nothing has no sign.
  expect([...roundTrip(format, values)].map((value) => value + 0)).toEqual([...values].map((value) => value + 0));
});
