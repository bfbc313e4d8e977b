import { test } from 'vitest';
import { expertSumCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

test.each([
  [0, 2, 8],
  [1, 1, 1],
  [3, 4, 65],
  [17, 8, 256],
])(
  '%d tokens, %d experts each, %d wide: the weighted sum agrees with the reference',
  async (numTokens, expertsPerToken, dim) => {
    const device = await openVariant({});
    for (const activations of floatTypes(device)) {
      await expectRight(device, expertSumCheck(device, { numTokens, expertsPerToken, dim, activations }));
    }
  },
);
