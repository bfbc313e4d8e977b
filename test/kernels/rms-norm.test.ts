import { describe, expect, test } from 'vitest';
import { availableReductions } from '../../src/kernels/reduction.ts';
import { bindRmsNorm } from '../../src/kernels/rms-norm.ts';
import { rmsNormCheck } from '../../src/kernels/self-test/row-checks.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { readFloats, submitPass, uploadFloats } from '../../src/kernels/transfer.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [0, 8],
    [1, 1],
    [3, 7],
    [15, 48],
    [17, 255],
    [5, 256],
    [16, 257],
    [2, 2048],
  ])('%d rows of %d agree with the reference in every reduction and type', async (numRows, dim) => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      for (const activations of floatTypes(device)) {
        await expectRight(device, rmsNormCheck(device, { numRows, dim, activations, reduction }));
      }
    }
  });

  test('adds the delta first and keeps the sum in the residual stream', async () => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      for (const delta of floatTypes(device)) {
        await expectRight(
          device,
          rmsNormCheck(device, { numRows: 17, dim: 100, activations: 'f32', delta, reduction }),
        );
      }
    }
  });

  test('normalises the delta with its own weight first, where asked to', async () => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      const shape = { numRows: 17, dim: 100, activations: 'f32', normalizesDelta: true, reduction } as const;
      await expectRight(device, rmsNormCheck(device, { ...shape, delta: floatTypes(device).at(-1)! }));
      await expectRight(device, rmsNormCheck(device, { ...shape, delta: 'f32', hasRows: true }));
    }
  });

  test('normalises only the listed rows and leaves the residual stream as it is', async () => {
    const device = await openVariant(options);
    for (const reduction of availableReductions(device)) {
      const shape = { numRows: 35, dim: 100, activations: 'f32', hasRows: true, reduction } as const;
      await expectRight(device, rmsNormCheck(device, shape));
      await expectRight(device, rmsNormCheck(device, { ...shape, delta: 'f32' }));
    }
  });
});

test('a row of zeros stays zero', async () => {
  const device = await openVariant({});
  const x = await createTensor(device, 'f32', [1, 64], 'x');
  const y = await uploadFloats(device, 'f32', [1, 64], new Float32Array(64).fill(7));
  const weight = await uploadFloats(device, 'f32', [64], new Float32Array(64).fill(1));
  const record = await bindRmsNorm(device, { x, weight, y, eps: 1e-5 });
  submitPass(device, (pass) => record(pass, 1));
  expect([...(await readFloats(device, y))]).toEqual(new Array(64).fill(0));
});

test('more rows than one dimension of a grid can hold are all normalised', async () => {
  const device = await openVariant({});
  await expectRight(device, rmsNormCheck(device, { numRows: 65_535 * 16 + 5, dim: 1, activations: 'f32' }));
});
