import { describe, test } from 'vitest';
import { poolingCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [[], 8],
    [[1], 1],
    [[7], 63],
    [[1, 2, 3], 64],
    [[33, 1, 16, 5], 65],
    [[512], 384],
  ])('segments of %j rows of %d agree with the reference', async (lengths, dim) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      await expectRight(device, poolingCheck(device, { lengths, dim, activations }));
    }
  });
});
