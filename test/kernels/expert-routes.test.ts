import { test } from 'vitest';
import { expertRoutesCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { openVariant } from '../support/gpu.ts';
import { expectRight } from '../support/kernel-check.ts';

test.each([
  [0, 8, 2],
  [1, 8, 2],
  [7, 1, 1],
  [33, 65, 3],
  [100, 128, 8],
])(
  '%d tokens over %d experts, %d each: rows come by expert, in order',
  async (numTokens, numExperts, expertsPerToken) => {
    const device = await openVariant({});
    await expectRight(device, expertRoutesCheck(device, { numTokens, numExperts, expertsPerToken }));
  },
);
