import { test } from 'vitest';
import { expertChoiceCheck } from '../../src/kernels/self-test/expert-checks.ts';
import { openVariant } from '../support/gpu.ts';
import { expectRight } from '../support/kernel-check.ts';

test.each([
  [0, 8, 2],
  [1, 4, 4],
  [3, 8, 1],
  [65, 32, 4],
  [2, 128, 8],
])(
  '%d tokens, %d experts, %d chosen: those and their shares agree with the reference',
  async (numTokens, numExperts, expertsPerToken) => {
    const device = await openVariant({});
    const shape = { numTokens, numExperts, expertsPerToken };
    await expectRight(device, expertChoiceCheck(device, { ...shape, sharesOf: 'chosen' }));
    await expectRight(device, expertChoiceCheck(device, { ...shape, sharesOf: 'all' }));
  },
);

test('of equal logits the lower expert comes first', async () => {
  const device = await openVariant({});
  const shape = { numTokens: 20, numExperts: 16, expertsPerToken: 6, hasTies: true } as const;
  await expectRight(device, expertChoiceCheck(device, { ...shape, sharesOf: 'chosen' }));
});
