import { describe, test } from 'vitest';
import { availableReductions } from '../../src/kernels/reduction.ts';
import { headNormCheck } from '../../src/kernels/self-test/row-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 2, 1, 64],
    [1, 1, 1, 8],
    [3, 4, 2, 64],
    [5, 3, 3, 80],
    [17, 8, 1, 128],
  ])(
    '%d rows of %d query and %d key heads of %d agree with the reference',
    async (numRows, numHeads, numKvHeads, headDim) => {
      const device = await openVariant(options);
      for (const reduction of availableReductions(device)) {
        for (const activations of floatTypes(device)) {
          const shape = { numRows, numHeads, numKvHeads, headDim, activations, reduction };
          await expectRight(device, headNormCheck(device, shape));
        }
      }
    },
  );
});
