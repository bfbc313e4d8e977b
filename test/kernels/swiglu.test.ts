import { describe, expect, test } from 'vitest';
import { swigluCheck } from '../../src/kernels/self-test/row-checks.ts';
import { bindSwiglu } from '../../src/kernels/swiglu.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { readFloats, submitPass, uploadFloats } from '../../src/kernels/transfer.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 8],
    [1, 1],
    [1, 63],
    [1, 64],
    [3, 65],
    [7, 768],
  ])('%d rows of %d agree with the reference', async (numRows, dim) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      await expectRight(device, swigluCheck(device, { numRows, dim, activations }));
    }
  });
});

test('gates far from zero give the gate or zero, never NaN', async () => {
  const device = await openVariant({});
  const gateUp = await uploadFloats(device, 'f32', [1, 8], [-1e30, -200, 200, 1e30, 2, 2, 2, 2]);
  const y = await createTensor(device, 'f32', [1, 4], 'y');
  const record = await bindSwiglu(device, { gateUp, y });
  submitPass(device, (pass) => record(pass, 1));
  const [a, b, c, d] = await readFloats(device, y);
  expect(Math.abs(a!)).toBeLessThan(1e-3);
  expect(Math.abs(b!)).toBeLessThan(1e-3);
  expect(c).toBe(400);
  expect(d).toBe(Math.fround(2e30));
});

test('more elements than one dimension of a grid can hold are all computed', async () => {
  const device = await openVariant({});
  await expectRight(device, swigluCheck(device, { numRows: 1100, dim: 4000, activations: 'f32' }));
});
