import { describe, expect, test } from 'vitest';
import { bindLayerNorm } from '../../src/kernels/layer-norm.ts';
import { availableReductions } from '../../src/kernels/reduction.ts';
import { layerNormCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { readFloats, submitPass, uploadFloats } from '../../src/kernels/transfer.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 8],
    [3, 7],
    [15, 48],
    [17, 255],
    [5, 256],
    [16, 257],
    [2, 1024],
  ])('%d rows of %d agree with the reference in every reduction and type', async (numRows, dim) => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      for (const activations of floatTypes(device)) {
        await expectRight(device, layerNormCheck(device, { numRows, dim, activations, reduction }));
      }
    }
  });

  test('adds a delta and a vector first', async () => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      const shape = { numRows: 17, dim: 100, activations: 'f32', reduction } as const;
      for (const delta of floatTypes(device)) {
        await expectRight(device, layerNormCheck(device, { ...shape, delta, hasShift: delta === 'f32' }));
      }
    }
  });
});

test('a row of equal numbers becomes the bias, never NaN', async () => {
  const device = await openVariant({});
  const x = await uploadFloats(device, 'f32', [1, 64], new Float32Array(64).fill(3));
  const y = await createTensor(device, 'f32', [1, 64], 'y');
  const weight = await uploadFloats(device, 'f32', [64], new Float32Array(64).fill(2));
  const bias = await uploadFloats(device, 'f32', [64], new Float32Array(64).fill(0.5));
  const record = await bindLayerNorm(device, { x, weight, bias, y, eps: 1e-12 });
  submitPass(device, (pass) => record(pass, 1));
  expect([...(await readFloats(device, y))]).toEqual(new Array(64).fill(0.5));
});

test('more rows than one dimension of a grid can hold are all normalised', async () => {
  const device = await openVariant({});
  await expectRight(device, layerNormCheck(device, { numRows: 65_535 * 16 + 5, dim: 2, activations: 'f32' }));
});
