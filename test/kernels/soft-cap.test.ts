import { test } from 'vitest';
import { softCapCheck } from '../../src/kernels/self-test/row-checks.ts';
import { openVariant } from '../support/gpu.ts';
import { expectRight } from '../support/kernel-check.ts';

test.each([
  [0, 8, 30],
  [1, 1, 30],
  [3, 1031, 30],
  [2, 64, 0.5],
])('%d rows of %d, capped at %f, agree with the reference', async (numRows, dim, cap) => {
  const device = await openVariant({});
  await expectRight(device, softCapCheck(device, { numRows, dim, cap }));
});
