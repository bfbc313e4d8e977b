import { describe, expect, test } from 'vitest';
import { bindGelu } from '../../src/kernels/gelu.ts';
import { gelu } from '../../src/kernels/reference.ts';
import { geluCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { readFloats, submitPass, uploadFloats } from '../../src/kernels/transfer.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 8],
    [1, 1],
    [1, 64],
    [3, 65],
    [7, 1536],
  ])('%d rows of %d agree with the reference', async (numRows, dim) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      for (const size of [0.1, 4, 40])
        await expectRight(device, geluCheck(device, { numRows, dim, activations, size }));
    }
  });
});

test('the reference has the published values', () => {
  // x times the normal distribution's table value.
  expect(gelu(1)).toBeCloseTo(0.8413447460685429, 14);
  expect(gelu(-1)).toBeCloseTo(-0.15865525393145707, 14);
  expect(gelu(3)).toBeCloseTo(2.99595030590511, 14);
});

test('inputs far from zero give themselves or zero, never NaN', async () => {
  const device = await openVariant({});
  const x = await uploadFloats(device, 'f32', [1, 4], [-1e30, -50, 50, 1e30]);
  const record = await bindGelu(device, x);
  submitPass(device, (pass) => record(pass, 1));
  const [a, b, c, d] = await readFloats(device, x);
  expect(Math.abs(a!)).toBeLessThan(1e-3);
  expect(Math.abs(b!)).toBeLessThan(1e-3);
  expect([c, d]).toEqual([50, Math.fround(1e30)]);
});

test('more elements than one dimension of a grid can hold are all computed', async () => {
  const device = await openVariant({});
  await expectRight(device, geluCheck(device, { numRows: 1100, dim: 4000, activations: 'f32' }));
});
