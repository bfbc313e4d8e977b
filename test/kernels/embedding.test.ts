import { describe, expect, test } from 'vitest';
import { bindEmbedding } from '../../src/kernels/embedding.ts';
import { f16 } from '../../src/kernels/quant/f16.ts';
import { f32 } from '../../src/kernels/quant/f32.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { createTensor } from '../../src/kernels/tensor.ts';
import { submitPass } from '../../src/kernels/transfer.ts';
import { createWeightMatrix } from '../../src/kernels/weight-matrix.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { gather } from '../support/matmul.ts';

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  test.each(QUANT_FORMATS)('$name rows arrive exactly, in the order of the ids, repeated ones too', async (format) => {
    const columns = Math.max(288, format.blockLength);
    const { actual, expected } = await gather(
      await openVariant(options),
      { format, rows: 1031, columns: format.blockLength > 32 ? 512 : columns },
      [1030, 0, 7, 7, 512],
    );
    expect([...actual]).toEqual([...expected]);
  });
});

test('an id beyond the vocabulary gives zeros', async () => {
  const { actual, expected } = await gather(
    await openVariant({}),
    { format: q8_0, rows: 3, columns: 32 },
    [2, 3, 0xffff_ffff],
  );
  expect([...actual]).toEqual([...expected]);
  expect([...actual.subarray(32)].every((value) => value === 0)).toBe(true);
});

test('each shard answers for its own rows, one of them for unknown ids', async () => {
  const matrix = { format: f16, rows: 41, columns: 64, maxShardBytes: 8 * 128 + 15 };
  const { actual, expected, numShards } = await gather(await openVariant({}), matrix, [40, 7, 8, 99, 0]);
  expect(numShards).toBe(6);
  expect([...actual]).toEqual([...expected]);
});

test.each([1, 37, 172])('rows of %d values need no padding', async (columns) => {
  const { actual, expected } = await gather(await openVariant({}), { format: f32, rows: 9, columns }, [8, 3, 5]);
  expect([...actual]).toEqual([...expected]);
});

test('multiplies by the scale', async () => {
  const { actual, expected } = await gather(await openVariant({}), { format: f32, rows: 9, columns: 32 }, [4, 1], 16);
  expect([...actual]).toEqual([...expected]);
});

test('more than 65,535 workgroups are spread over two dimensions', async () => {
  const ids = Array.from({ length: 65_536 * 64 }, (_, i) => i % 3);
  const { actual, expected } = await gather(await openVariant({}), { format: f32, rows: 3, columns: 1 }, ids);
  expect(actual.every((value, i) => value === expected[i])).toBe(true);
});

test('no rows, no dispatch; too many rows are refused', async () => {
  const device = await openVariant({});
  const weight = await createWeightMatrix(device, f32, 2, 32, 'embedding');
  const tokenIds = await createTensor(device, 'u32', [2], 'token ids');
  const y = await createTensor(device, 'f32', [2, 32], 'y');
  const record = await bindEmbedding(device, { weight, tokenIds, y });
  submitPass(device, (pass) => record(pass, 0));
  expect(() => submitPass(device, (pass) => record(pass, 3))).toThrow(/3 rows, bound for 2/);
  await expect(bindEmbedding(device, { weight, tokenIds, y: tokenIds })).rejects.toMatchObject({ code: 'internal' });
});
