import { describe, expect, test } from 'vitest';
import { ropeTable } from '../../src/kernels/rope.ts';
import { ropeCheck } from '../../src/kernels/self-test/row-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    { numRows: 0, numHeads: 1, headDim: 32, rotaryDim: 32 },
    { numRows: 1, numHeads: 1, headDim: 2, rotaryDim: 2 },
    { numRows: 1, numHeads: 7, headDim: 48, rotaryDim: 48 },
    { numRows: 13, numHeads: 3, headDim: 64, rotaryDim: 64 },
    { numRows: 5, numHeads: 2, headDim: 80, rotaryDim: 32 },
    { numRows: 33, numHeads: 12, headDim: 96, rotaryDim: 96 },
    { numRows: 2, numHeads: 9, headDim: 128, rotaryDim: 126 },
  ])('rotates $numRows rows of $numHeads heads, $rotaryDim of $headDim elements', async (shape) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      for (const layout of ['interleaved', 'half'] as const) {
        await expectRight(device, ropeCheck(device, { ...shape, layout, activations }));
      }
    }
  });
});

test('the table divides frequencies by their factors', () => {
  const plain = ropeTable({ rotaryDim: 4, numPositions: 9, base: 100 });
  const stretched = ropeTable({
    rotaryDim: 4,
    numPositions: 9,
    base: 100,
    frequencyFactors: Float32Array.of(1, 8),
  });
  const at = (table: Float32Array, position: number, pair: number) => table[(position * 2 + pair) * 2];
  expect(at(stretched, 8, 0)).toBe(at(plain, 8, 0));
  expect(at(stretched, 8, 1)).toBe(at(plain, 1, 1));
});

test('position 0 is not rotated', () => {
  expect([...ropeTable({ rotaryDim: 8, numPositions: 1, base: 10_000 })]).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
});
