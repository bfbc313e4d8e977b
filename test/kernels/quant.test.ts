import { describe, expect, test } from 'vitest';
import { f16 } from '../../src/kernels/quant/f16.ts';
import { QUANT_FORMATS, quantFormatOf } from '../../src/kernels/quant/index.ts';
import { q4_0 } from '../../src/kernels/quant/q4-0.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { quantCases } from '../cases/quant.ts';
import { GGML_BLOCKS } from '../reference/ggml-blocks.ts';
import { randomRows, seededRandom } from '../support/random-weights.ts';

describe.each(QUANT_FORMATS)('$name', (format) => quantCases(format));

test('finds a format by its GGUF type', () => {
  for (const format of QUANT_FORMATS) expect(quantFormatOf(format.ggmlType)).toBe(format);
  expect(quantFormatOf('Q9_9')).toBeUndefined();
});

test('decodes every kind of F16: normal, subnormal, zero and the extremes', () => {
  const patterns = [0x3c00, 0xc000, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x0000, 0x8001, 0x3555];
  const values = new Float32Array(patterns.length);
  f16.dequantize(new Uint8Array(Uint16Array.from(patterns).buffer), values);
  expect([...values]).toEqual([1, -2, 65504, 2 ** -14, 1023 * 2 ** -24, 2 ** -24, 0, -(2 ** -24), 0.333251953125]);
});

test('a Q8_0 weight is the scale times a signed byte', () => {
  const block = new Uint8Array(34);
  new DataView(block.buffer).setUint16(0, 0x3800, true); // 0.5
  block.set([0x80, 0xff, 0x01, 0x7f], 2);
  const values = new Float32Array(32);
  q8_0.dequantize(block, values);
  expect([...values.subarray(0, 5)]).toEqual([-64, -0.5, 0.5, 63.5, 0]);
});

test('a Q4_0 byte holds weights i and i + 16, offset by eight', () => {
  const block = new Uint8Array(18);
  new DataView(block.buffer).setUint16(0, 0xc000, true); // -2
  block[2] = 0xf0;
  const values = new Float32Array(32);
  q4_0.dequantize(block, values);
  expect([values[0], values[16], values[1]]).toEqual([16, -14, 16]);
});

test.each(Object.entries(GGML_BLOCKS))('%s blocks decode as ggml walks them', (type, decode) => {
  const format = quantFormatOf(type)!;
  const numBlocks = 20;
  const bytes = randomRows(format, 1, numBlocks * format.blockLength, seededRandom(11));
  const values = new Float32Array(numBlocks * format.blockLength);
  format.dequantize(bytes, values);
  const expected = Array.from({ length: numBlocks }, (_, block) =>
    decode(new DataView(bytes.buffer, block * format.blockBytes, format.blockBytes)),
  ).flat();
  // + 0: a weight of nothing has no sign.
  expect([...values].map((value) => value + 0)).toEqual(expected.map((value) => Math.fround(value) + 0));
});
