import { describe, expect, test } from 'vitest';
import { GpuDevice } from '../../src/kernels/device.ts';
import { bindMatmul } from '../../src/kernels/matmul.ts';
import { f16 } from '../../src/kernels/quant/f16.ts';
import { f32 } from '../../src/kernels/quant/f32.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import { q4_0 } from '../../src/kernels/quant/q4-0.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { nmse } from '../../src/kernels/reference.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { createWeightMatrix } from '../../src/kernels/weight-matrix.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectProduct, expectRoutedProduct, multiply, UNTOUCHED } from '../support/matmul.ts';

// The barrier-free kernel for software adapters; tiles of 2 rows × 4 tokens.
const kind = 'thread' as const;

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each([q8_0, q4_0])('$name: a tile of tokens ± 1, an odd number of outputs', async (format) => {
    const product = { format, rows: 37, columns: 288, numTokens: [1, 2, 3, 4, 5, 16], kind };
    await expectProduct(await openVariant(options), product);
  });
});

test.each(QUANT_FORMATS)('$name: F16 activations are summed in F32', async (format) => {
  const columns = format.blockLength > 32 ? format.blockLength : 96;
  const product = { format, rows: 9, columns, numTokens: [1, 5], kind, activations: 'f16' } as const;
  await expectProduct(await openVariant({}), product);
});

test.each([1, 31, 32, 33, 1031])('%d outputs, around what a workgroup covers', async (rows) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: q8_0,
    rows,
    columns: 64,
    numTokens: [1, 7],
    kind,
  });
});

test.each([32, 4096 + 32])('sums %d weights within an F32 error', async (columns) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: q8_0,
    rows: 5,
    columns,
    numTokens: [1, 2],
    kind,
  });
});

test.each([1, 31, 33, 172])('rows of %d weights, no multiple of 32, read nothing beyond their end', async (columns) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: f32,
    rows: 6,
    columns,
    numTokens: [1, 3],
    kind,
  });
});

test.each(['thread', 'gpu'] as const)(
  '%s: writes its columns of y and nothing beside them, over several shards',
  async (variant) => {
    const device = await openVariant({});
    const product = {
      format: f16,
      rows: 21,
      columns: 32,
      numTokens: [1, 5, 9],
      kind: variant,
      yColumn: 3,
      maxShardBytes: 4 * 64 + 15,
    };
    for (const { actual, expected, outside } of await multiply(device, product)) {
      expect(nmse(actual, expected)).toBeLessThan(1e-10);
      expect(outside.every((value) => value === UNTOUCHED)).toBe(true);
    }
  },
);

test.each(['thread', 'gpu'] as const)('%s: no rows, nothing written', async (variant) => {
  const device = await openVariant({});
  const product = { format: q8_0, rows: 5, columns: 32, numTokens: [0], kind: variant };
  const [result] = await multiply(device, product);
  expect(result!.actual.length).toBe(0);
  expect(result!.outside.every((value) => value === UNTOUCHED)).toBe(true);
});

test.each(['thread', 'gpu'] as const)('%s: outputs may be F16', async (variant) => {
  const device = await openVariant({});
  const product = { format: q8_0, rows: 13, columns: 64, numTokens: [1, 6], kind: variant, outputs: 'f16' } as const;
  for (const { actual, expected } of await multiply(device, product)) expect(nmse(actual, expected)).toBeLessThan(1e-6);
});

test('release builds, without checks, give the same', async () => {
  const device = await GpuDevice.open({ checks: 'none' });
  for (const variant of ['thread', 'gpu'] as const) {
    const product = { format: q4_0, rows: 37, columns: 1056, numTokens: [1, 5, 9], kind: variant };
    await expectProduct(device, product);
  }
  device.close();
});

test('refuses shapes that do not fit, and more rows than were bound', async () => {
  const device = await openVariant({});
  const weight = await createWeightMatrix(device, f32, 8, 32, 'weight');
  const x = await createTensor(device, 'f32', [2, 32], 'x');
  const y = await createTensor(device, 'f32', [2, 8], 'y');
  await expect(bindMatmul(device, { x: y, weight, y: x })).rejects.toMatchObject({ code: 'internal' });
  await expect(bindMatmul(device, { x, weight, y, yColumn: 1 })).rejects.toMatchObject({ code: 'internal' });
  const record = await bindMatmul(device, { x, weight, y });
  const pass = device.device.createCommandEncoder().beginComputePass();
  expect(() => record(pass, 3)).toThrow(/3 rows, bound for 2/);
});

test.each(['thread', 'gpu'] as const)('%s: a bias is added by the column of y, over shards too', async (kind) => {
  const device = await openVariant({});
  const product = {
    format: q8_0,
    rows: 37,
    columns: 64,
    numTokens: [1, 3, 9],
    kind,
    yColumn: 5,
    hasBias: true,
  } as const;
  await expectProduct(device, product);
  await expectProduct(device, { ...product, maxShardBytes: 10 * 64 + 15 });
});

describe.each(['thread', 'gpu'] as const)('%s, routed to experts', (kind) => {
  test.each([
    { numTokens: [1, 2, 3, 7, 100], xRows: 'per-token', hasBias: true },
    { numTokens: [1, 5, 33], xRows: 'per-expert', hasBias: false },
  ] as const)('each row of y meets the weights of its expert: $numTokens tokens, rows of x $xRows', async (how) => {
    const device = await openVariant({});
    const mixture = { numExperts: 6, expertsPerToken: 2, outputs: 19, columns: 64, kind };
    await expectRoutedProduct(device, { ...mixture, format: q8_0, ...how });
    await expectRoutedProduct(device, { ...mixture, format: q8_0, ...how, maxShardBytes: 30 * 64 + 15 });
  });
});
