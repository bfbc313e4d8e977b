import { describe, expect, test } from 'vitest';
import { bindAttentionPacked } from '../../src/kernels/attention-packed.ts';
import { attentionPackedCheck } from '../../src/kernels/self-test/encoder-checks.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { readFloats, submitPass, uploadFloats, uploadWords } from '../../src/kernels/transfer.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([
    [[1], 1, 4],
    [[2, 1], 3, 8],
    [[7, 64, 5], 2, 64],
    [[65], 12, 32],
    [[3, 4, 5, 1, 1, 130], 1, 20],
  ])('sequences of %j tokens with %d heads of %d agree with the reference', async (lengths, numHeads, headDim) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      await expectRight(device, attentionPackedCheck(device, { lengths, numHeads, headDim, activations }));
    }
  });
});

test('loops as GPUs have them agree too', async () => {
  const device = await openVariant({});
  for (const activations of floatTypes(device)) {
    const shape = { lengths: [7, 33], numHeads: 3, headDim: 16, activations, loops: 'unrolled' } as const;
    await expectRight(device, attentionPackedCheck(device, shape));
  }
});

test('scores far apart give the value of the best key, never NaN', async () => {
  const device = await openVariant({});
  // One head of four: q, k and v of three tokens; the second key wins by far, for the last query the third.
  const rows = [
    [1e4, 0, 0, 0, -1e4, 0, 0, 0, 1, 1, 1, 1],
    [1e4, 0, 0, 0, 1e4, 0, 0, 0, 2, 2, 2, 2],
    [-1e4, 0, 0, 0, -2e4, 0, 0, 0, 3, 3, 3, 3],
  ];
  const qkv = await uploadFloats(device, 'f32', [3, 12], rows.flat());
  const spans = await uploadWords(device, [3, 2], [0, 3, 0, 3, 0, 3]);
  const y = await createTensor(device, 'f32', [3, 4], 'y');
  const record = await bindAttentionPacked(device, { qkv, spans, y, numHeads: 1, headDim: 4 });
  submitPass(device, (pass) => record(pass, 3));
  expect([...(await readFloats(device, y))]).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3]);
});
