import { describe, expect, test } from 'vitest';
import { bindGlu } from '../../src/kernels/glu.ts';
import { gluCheck } from '../../src/kernels/self-test/row-checks.ts';
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
      await expectRight(device, gluCheck(device, { numRows, dim, activations }));
    }
  });
});

test.each(['gelu', 'clamped-silu'] as const)('%s agrees with the reference, far from zero too', async (activation) => {
  const device = await openVariant({});
  for (const activations of floatTypes(device)) {
    for (const size of [3, 30]) {
      await expectRight(device, gluCheck(device, { numRows: 3, dim: 65, activations, activation, size }));
    }
  }
});

test('gates far from zero give the gate or zero, never NaN', async () => {
  const device = await openVariant({});
  const gateUp = await uploadFloats(device, 'f32', [1, 8], [-1e30, -200, 200, 1e30, 2, 2, 2, 2]);
  const y = await createTensor(device, 'f32', [1, 4], 'y');
  const record = await bindGlu(device, { gateUp, y, activation: 'silu' });
  submitPass(device, (pass) => record(pass, 1));
  const [a, b, c, d] = await readFloats(device, y);
  expect(Math.abs(a!)).toBeLessThan(1e-3);
  expect(Math.abs(b!)).toBeLessThan(1e-3);
  expect(c).toBe(400);
  expect(d).toBe(Math.fround(2e30));
});

test('more elements than one dimension of a grid can hold are all computed', async () => {
  const device = await openVariant({});
  await expectRight(device, gluCheck(device, { numRows: 1100, dim: 4000, activations: 'f32' }));
});
