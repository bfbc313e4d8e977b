import { describe, test } from 'vitest';
import { kvWriteCheck } from '../../src/kernels/self-test/kv-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    { numRows: 0, numKvHeads: 1, headDim: 32, blockSize: 16 },
    { numRows: 1, numKvHeads: 1, headDim: 1, blockSize: 1 },
    { numRows: 15, numKvHeads: 3, headDim: 48, blockSize: 16 },
    { numRows: 17, numKvHeads: 8, headDim: 64, blockSize: 16 },
    { numRows: 33, numKvHeads: 2, headDim: 80, blockSize: 32 },
    { numRows: 5, numKvHeads: 5, headDim: 7, blockSize: 3 },
  ])('$numRows rows of $numKvHeads heads of $headDim reach their slots and nothing else changes', async (shape) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      for (const kvFormat of floatTypes(device)) {
        await expectRight(device, kvWriteCheck(device, { ...shape, activations, kvFormat }));
      }
    }
  });

  test.each([
    { numRows: 0, numKvHeads: 1, headDim: 32, blockSize: 16 },
    { numRows: 3, numKvHeads: 2, headDim: 8, blockSize: 4 },
    { numRows: 15, numKvHeads: 3, headDim: 48, blockSize: 16 },
    { numRows: 33, numKvHeads: 2, headDim: 80, blockSize: 32 },
    { numRows: 40, numKvHeads: 1, headDim: 32, blockSize: 16 },
    { numRows: 17, numKvHeads: 3, headDim: 128, blockSize: 16 },
  ])('$numRows rows of $numKvHeads heads of $headDim are quantized into their slots', async (shape) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      for (const kvFormat of ['q8', 'q4'] as const) {
        await expectRight(device, kvWriteCheck(device, { ...shape, activations, kvFormat }));
      }
    }
  });
});
