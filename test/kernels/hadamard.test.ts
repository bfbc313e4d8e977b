import { describe, expect, test } from 'vitest';
import { hadamardSize } from '../../src/kernels/hadamard.ts';
import { hadamard } from '../../src/kernels/reference.ts';
import { HostKvCache } from '../../src/kernels/self-test/host-kv-cache.ts';
import { CheckTensors } from '../../src/kernels/self-test/kernel-check.ts';
import { hadamardCheck } from '../../src/kernels/self-test/kv-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';
import { nmse } from '../support/oracle.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    { numRows: 0, numHeads: 1, headDim: 32 },
    { numRows: 1, numHeads: 3, headDim: 8 },
    { numRows: 13, numHeads: 3, headDim: 48 },
    { numRows: 5, numHeads: 6, headDim: 40 },
    { numRows: 33, numHeads: 12, headDim: 64 },
    { numRows: 2, numHeads: 5, headDim: 128 },
  ])('multiplies $numRows rows of $numHeads heads of $headDim', async (shape) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      await expectRight(device, hadamardCheck(device, { ...shape, activations }));
    }
  });
});

test.each([
  [8, 8],
  [40, 8],
  [48, 16],
  [80, 16],
  [96, 32],
  [128, 32],
  [256, 32],
])('a head of %i columns takes a matrix of order %i', (headDim, size) => {
  expect(hadamardSize(headDim)).toBe(size);
});

test('dot products stay, and an outlier costs the other columns of its group less', async () => {
  const tensors = new CheckTensors(await openVariant({}));
  const [query, key] = [tensors.randomFloats('f32', 32), tensors.randomFloats('f32', 32)] as const;
  key[5] = 60;
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  expect(dot(hadamard(query), hadamard(key))).toBeCloseTo(dot(query, key), 9);
  const kept = (columns: Float64Array) =>
    new HostKvCache({ format: 'q4', numBlocks: 1, numKvHeads: 1, headDim: 32, blockSize: 4 }).write(0, 0, columns);
  // The matrix is its own inverse.
  expect(nmse(hadamard(kept(hadamard(key))), key)).toBeLessThan(0.5 * nmse(kept(key), key));
});
