import { describe, expect, test } from 'vitest';
import { bindAttentionDecode } from '../../src/kernels/attention-decode.ts';
import { attentionDecodeCheck } from '../../src/kernels/self-test/attention-checks.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

const decoding = (...contexts: number[]) => contexts.map((numKeys) => ({ numKeys, numQueries: 1 }));

/** Around the borders of blocks, of groups of four keys and of splits. */
const CONTEXTS = decoding(1, 2, 15, 16, 17, 31, 33, 64, 127, 128, 129, 257);

const SHAPES = [
  { headDim: 32, numHeads: 1, numKvHeads: 1, blockSize: 16 },
  { headDim: 48, numHeads: 6, numKvHeads: 6, blockSize: 16 },
  { headDim: 64, numHeads: 8, numKvHeads: 2, blockSize: 16 },
  { headDim: 80, numHeads: 4, numKvHeads: 2, blockSize: 32 },
  { headDim: 96, numHeads: 9, numKvHeads: 3, blockSize: 16 },
  { headDim: 128, numHeads: 8, numKvHeads: 1, blockSize: 4 },
];

/** Heads of less than a group of 32 columns, of whole groups, and with a shorter last group. */
const QUANTIZED_SHAPES = [
  { headDim: 8, numHeads: 2, numKvHeads: 2, blockSize: 4 },
  { headDim: 32, numHeads: 8, numKvHeads: 4, blockSize: 16 },
  { headDim: 48, numHeads: 6, numKvHeads: 3, blockSize: 16 },
  { headDim: 128, numHeads: 8, numKvHeads: 2, blockSize: 16 },
];

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each(SHAPES)('$numHeads heads of $headDim over $numKvHeads KV heads, in all types', async (shape) => {
    const device = await openVariant(options);
    for (const activations of floatTypes(device)) {
      for (const kvFormat of floatTypes(device)) {
        const check = { ...shape, activations, kvFormat, variant: 'serial', sequences: CONTEXTS } as const;
        await expectRight(device, attentionDecodeCheck(device, check));
      }
    }
  });

  test.each(QUANTIZED_SHAPES)('$numHeads heads of $headDim over $numKvHeads quantized KV heads', async (shape) => {
    const device = await openVariant(options);
    const activations = floatTypes(device).at(-1)!;
    for (const kvFormat of ['q8', 'q4'] as const) {
      const check = { ...shape, activations, kvFormat, variant: 'serial', sequences: CONTEXTS } as const;
      await expectRight(device, attentionDecodeCheck(device, check));
    }
  });

  test('split over workgroups: packed heads, mixed contexts', async () => {
    const device = await openVariant(options);
    const type = floatTypes(device).at(-1)!;
    const check = { ...SHAPES[2]!, activations: type, kvFormat: type, variant: 'workgroup' } as const;
    await expectRight(device, attentionDecodeCheck(device, { ...check, sequences: CONTEXTS }));
    await expectRight(device, attentionDecodeCheck(device, { ...check, sequences: decoding(1000) }));
  });
});

test.each([SHAPES[1]!, { headDim: 80, numHeads: 7, numKvHeads: 1, blockSize: 16 }])(
  'split over workgroups: $numHeads heads of $headDim over $numKvHeads KV heads',
  async (shape) => {
    const device = await openVariant({});
    const check = { ...shape, activations: 'f32', kvFormat: 'f32', variant: 'workgroup', sequences: CONTEXTS } as const;
    await expectRight(device, attentionDecodeCheck(device, check));
  },
);

test.each(['serial', 'workgroup'] as const)('%s: a batch beyond the scratch runs in rounds', async (variant) => {
  const device = await openVariant({});
  const shape = { ...SHAPES[2]!, activations: 'f32', kvFormat: 'f32', variant, maxContext: 1 << 19 } as const;
  await expectRight(device, attentionDecodeCheck(device, { ...shape, sequences: decoding(...new Array(9).fill(40)) }));
});

test('a thousand keys agree with the reference', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[2]!, activations: 'f32', kvFormat: 'f32' } as const;
  await expectRight(device, attentionDecodeCheck(device, { ...shape, sequences: decoding(1000, 3, 999) }));
});

test.each(['q8', 'q4'] as const)('split over workgroups: %s', async (kvFormat) => {
  const device = await openVariant({});
  for (const shape of QUANTIZED_SHAPES.slice(1, 3)) {
    const check = { ...shape, activations: 'f32', kvFormat, variant: 'workgroup', sequences: CONTEXTS } as const;
    await expectRight(device, attentionDecodeCheck(device, check));
  }
});

describe.each(['serial', 'workgroup'] as const)('%s', (variant) => {
  const shape = { ...SHAPES[0]!, activations: 'f32', variant, sequences: CONTEXTS } as const;

  test.each(['f32', 'q8', 'q4'] as const)('windows, capped scores and sinks over %s', async (kvFormat) => {
    const device = await openVariant({});
    const bent = { ...shape, kvFormat, window: 7, softCap: 0.5, hasSinks: true };
    await expectRight(device, attentionDecodeCheck(device, bent));
  });

  test('windows alone', async () => {
    const device = await openVariant({});
    await expectRight(device, attentionDecodeCheck(device, { ...shape, kvFormat: 'f32', window: 128 }));
  });
});

test('no sequence, no dispatch', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[0]!, activations: 'f32', kvFormat: 'f32' } as const;
  await expectRight(device, attentionDecodeCheck(device, { ...shape, sequences: [] }));
});

test('sizes that the kernels cannot load are refused', async () => {
  const device = await openVariant({});
  const u32 = await createTensor(device, 'u32', [1], 'words');
  const q = await createTensor(device, 'f32', [1, 60], 'q');
  const tensors = {
    q,
    qColumn: 0,
    kvFormat: 'f32' as const,
    kCache: q,
    vCache: q,
    y: q,
    contextLengths: u32,
    blockTableStarts: u32,
  };
  const sizes = { blockTables: u32, numHeads: 1, numKvHeads: 1, headDim: 60, blockSize: 16, scale: 1 };
  const bound = bindAttentionDecode(device, { ...tensors, ...sizes, maxSequences: 1, maxContext: 16 });
  await expect(bound).rejects.toThrow('must be multiples of 8');
});
