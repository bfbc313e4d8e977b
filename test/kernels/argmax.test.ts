import { describe, test } from 'vitest';
import { availableReductions } from '../../src/kernels/reduction.ts';
import { argmaxCheck } from '../../src/kernels/self-test/candidate-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 8],
    [1, 1],
    [3, 63],
    [17, 64],
    [2, 65],
    [5, 32_000],
    [1, 262_144],
  ])('finds the greatest of %d rows of %d logits', async (numRows, vocabularySize) => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      await expectRight(device, argmaxCheck(device, { numRows, vocabularySize }, reduction));
    }
  });

  test('the lowest id wins a tie', async () => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      await expectRight(device, argmaxCheck(device, { numRows: 9, vocabularySize: 3000, numValues: 5 }, reduction));
    }
  });

  test('NaN and −∞ never win, and a row of nothing else gives no id', async () => {
    const device = await openVariant(options);
    const { NaN: nan, NEGATIVE_INFINITY: low } = Number;
    const logits = [nan, -5, low, nan, -3, -3, low, low, low, -1e29, low, nan, low, low, low, low, low, low];
    for (const reduction of availableReductions(device)) {
      await expectRight(device, argmaxCheck(device, { numRows: 3, vocabularySize: 6, logits }, reduction));
    }
  });
});
