import { describe, test } from 'vitest';
import { PREFILL_TILE_ROWS } from '../../src/kernels/attention-prefill.ts';
import { attentionPrefillCheck } from '../../src/kernels/self-test/attention-checks.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectRight, floatTypes } from '../support/kernel-check.ts';

/** Whole prompts and chunks behind a cached prefix, around the borders of tiles and blocks. */
const SEQUENCES = [
  { numKeys: 1, numQueries: 1 },
  { numKeys: PREFILL_TILE_ROWS + 1, numQueries: PREFILL_TILE_ROWS + 1 },
  { numKeys: 33, numQueries: PREFILL_TILE_ROWS },
  { numKeys: 70, numQueries: PREFILL_TILE_ROWS - 1 },
  { numKeys: 48, numQueries: 3 },
  { numKeys: 64, numQueries: 64 },
];

const SHAPES = [
  { headDim: 32, numHeads: 2, numKvHeads: 1, blockSize: 16 },
  { headDim: 48, numHeads: 6, numKvHeads: 6, blockSize: 16 },
  { headDim: 64, numHeads: 8, numKvHeads: 2, blockSize: 16 },
  { headDim: 80, numHeads: 4, numKvHeads: 2, blockSize: 32 },
  { headDim: 96, numHeads: 3, numKvHeads: 1, blockSize: 16 },
  { headDim: 128, numHeads: 8, numKvHeads: 1, blockSize: 4 },
];

/** Heads of less than a group of 32 columns, of whole groups, and with a shorter last group. */
const QUANTIZED_SHAPES = [
  { headDim: 8, numHeads: 2, numKvHeads: 2, blockSize: 4 },
  { headDim: 32, numHeads: 8, numKvHeads: 4, blockSize: 16 },
  { headDim: 48, numHeads: 6, numKvHeads: 3, blockSize: 16 },
];

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each(SHAPES)('$numHeads heads of $headDim over $numKvHeads KV heads', async (shape) => {
    const device = await openVariant(options);
    const type = floatTypes(device).at(-1)!;
    const check = { ...shape, activations: type, kvFormat: type, variant: 'serial', sequences: SEQUENCES } as const;
    await expectRight(device, attentionPrefillCheck(device, check));
  });

  test.each(QUANTIZED_SHAPES)('$numHeads heads of $headDim over $numKvHeads quantized KV heads', async (shape) => {
    const device = await openVariant(options);
    const activations = floatTypes(device).at(-1)!;
    for (const kvFormat of ['q8', 'q4'] as const) {
      const check = { ...shape, activations, kvFormat, variant: 'serial', sequences: SEQUENCES } as const;
      await expectRight(device, attentionPrefillCheck(device, check));
    }
  });

  test('tiles through workgroup memory', async () => {
    const device = await openVariant(options);
    const type = floatTypes(device).at(-1)!;
    const shape = { ...SHAPES[2]!, activations: type, kvFormat: type, variant: 'workgroup' } as const;
    await expectRight(device, attentionPrefillCheck(device, { ...shape, sequences: SEQUENCES }));
  });
});

test('activations and cache may be of different types', async () => {
  const device = await openVariant({});
  if (!device.hasF16) return;
  const shape = { ...SHAPES[2]!, sequences: SEQUENCES, variant: 'serial' } as const;
  await expectRight(device, attentionPrefillCheck(device, { ...shape, activations: 'f16', kvFormat: 'f32' }));
  await expectRight(device, attentionPrefillCheck(device, { ...shape, activations: 'f32', kvFormat: 'f16' }));
});

test('tiles through workgroup memory: a head whose columns do not divide by the lanes', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[3]!, activations: 'f32', kvFormat: 'f32', variant: 'workgroup' } as const;
  await expectRight(device, attentionPrefillCheck(device, { ...shape, sequences: SEQUENCES }));
});

test('a batch beyond the scratch runs in rounds', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[2]!, activations: 'f32', kvFormat: 'f32', variant: 'serial', maxContext: 1 << 17 } as const;
  await expectRight(device, attentionPrefillCheck(device, { ...shape, sequences: SEQUENCES }));
});

test('a chunk behind a thousand cached keys agrees with the reference', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[2]!, activations: 'f32', kvFormat: 'f32' } as const;
  await expectRight(
    device,
    attentionPrefillCheck(device, { ...shape, sequences: [{ numKeys: 1000, numQueries: 20 }] }),
  );
});

test.each(['q8', 'q4'] as const)('tiles through workgroup memory: %s', async (kvFormat) => {
  const device = await openVariant({});
  for (const shape of QUANTIZED_SHAPES.slice(1)) {
    const check = { ...shape, activations: 'f32', kvFormat, variant: 'workgroup', sequences: SEQUENCES } as const;
    await expectRight(device, attentionPrefillCheck(device, check));
  }
});

describe.each(['serial', 'workgroup'] as const)('%s', (variant) => {
  const shape = { ...SHAPES[0]!, activations: 'f32', variant, sequences: SEQUENCES } as const;

  test.each(['f32', 'q8', 'q4'] as const)('windows, capped scores and sinks over %s', async (kvFormat) => {
    const device = await openVariant({});
    const bent = { ...shape, kvFormat, window: 7, softCap: 0.5, hasSinks: true };
    await expectRight(device, attentionPrefillCheck(device, bent));
  });

  test('windows alone', async () => {
    const device = await openVariant({});
    await expectRight(device, attentionPrefillCheck(device, { ...shape, kvFormat: 'f32', window: 50 }));
  });
});

test('no tile, no dispatch', async () => {
  const device = await openVariant({});
  const shape = { ...SHAPES[0]!, activations: 'f32', kvFormat: 'f32', sequences: [] } as const;
  await expectRight(device, attentionPrefillCheck(device, shape));
});
