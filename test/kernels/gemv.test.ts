import { describe, test } from 'vitest';
import { f32 } from '../../src/kernels/quant/f32.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import { q4_0 } from '../../src/kernels/quant/q4-0.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectProduct } from '../support/matmul.ts';

// The kernel for GPUs, on whatever device there is: 1 to 8 tokens.
const kind = 'gpu' as const;

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  // What differs between variants is not the format: all formats once are enough.
  test.each(options === DEVICE_VARIANTS[0]![1] ? QUANT_FORMATS : [q8_0])(
    '$name: 1 to 8 tokens, an odd number of outputs',
    async (format) => {
      const columns = Math.max(288, format.blockLength);
      const product = {
        format,
        rows: 37,
        columns: format.blockLength > 32 ? format.blockLength * 3 : columns,
        numTokens: [1, 2, 4, 5, 8],
        kind,
      };
      await expectProduct(await openVariant(options), product);
    },
  );
});

test.each(QUANT_FORMATS)('$name: F16 activations are summed in F32', async (format) => {
  const columns = Math.max(288, format.blockLength);
  const product = {
    format,
    rows: 9,
    columns: format.blockLength > 32 ? format.blockLength : columns,
    numTokens: [1, 3],
    kind,
    activations: 'f16',
  } as const;
  await expectProduct(await openVariant({}), product);
});

test.each([1, 3, 4, 5, 15, 16, 17, 1031])('%d outputs, around what a workgroup covers', async (rows) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: q8_0,
    rows,
    columns: 64,
    numTokens: [1, 3],
    kind,
  });
});

test.each([32, 4096 + 32])('sums %d weights within an F32 error', async (columns) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: q4_0,
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
