import { describe, expect, test } from 'vitest';
import { topKCheck } from '../../src/kernels/self-test/candidate-checks.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { bindTopK } from '../../src/kernels/top-k.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight } from '../support/kernel-check.ts';

const VARIANTS = ['insert', 'rank'] as const;

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 100, 1],
    [1, 1, 1],
    [3, 5, 8],
    [9, 33, 40],
    [2, 64, 64],
    [17, 1000, 1],
    [3, 32_000, 40],
    [1, 262_144, 64],
  ])('%d rows of %d logits give their best %d and the sum of all', async (numRows, vocabularySize, k) => {
    const device = await openVariant(options);
    for (const variant of VARIANTS)
      await expectRight(device, topKCheck(device, { numRows, vocabularySize, k }, variant));
  });

  test('of equal logits the lower ids come first', async () => {
    const device = await openVariant(options);
    for (const variant of VARIANTS) {
      for (const numValues of [1, 3, 500]) {
        const shape = { numRows: 3, vocabularySize: 3000, numValues, k: 40 };
        await expectRight(device, topKCheck(device, shape, variant));
      }
    }
  });

  test('masked logits come last and add nothing to the sum', async () => {
    const device = await openVariant(options);
    const logits = Array.from({ length: 200 }, (_, id) =>
      id % 9 === 4 ? id / 10 : id % 2 === 0 ? Number.NEGATIVE_INFINITY : Number.NaN,
    );
    for (const variant of VARIANTS) {
      await expectRight(device, topKCheck(device, { numRows: 1, vocabularySize: 200, logits, k: 40 }, variant));
    }
  });
});

test('more candidates than a sampler may ask for are refused', async () => {
  const device = await openVariant({});
  const logits = await createTensor(device, 'f32', [1, 100], 'logits');
  const ids = await createTensor(device, 'u32', [1, 65], 'ids');
  const values = await createTensor(device, 'f32', [1, 65], 'values');
  await expect(bindTopK(device, { logits, ids, values, logSumExp: values })).rejects.toThrow('k is 65');
});
