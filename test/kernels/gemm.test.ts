import { describe, test } from 'vitest';
import { f16 } from '../../src/kernels/quant/f16.ts';
import { QUANT_FORMATS } from '../../src/kernels/quant/index.ts';
import { q8_0 } from '../../src/kernels/quant/q8-0.ts';
import { DEVICE_VARIANTS, openVariant } from '../support/gpu.ts';
import { expectProduct } from '../support/matmul.ts';

// The tiled kernel for GPUs, on whatever device there is: tiles of 64 × 64, above eight tokens.
const kind = 'gpu' as const;

describe.each(DEVICE_VARIANTS)('%s', (_name, options) => {
  // What differs between variants is not the format: all formats once are enough.
  test.each(options === DEVICE_VARIANTS[0]![1] ? QUANT_FORMATS : [q8_0])(
    '$name: a tile of tokens ± 1',
    async (format) => {
      const columns = format.blockLength > 32 ? format.blockLength : 96;
      const product = { format, rows: 33, columns, numTokens: [9, 63, 64, 65], kind };
      await expectProduct(await openVariant(options), product);
    },
  );
});

test.each(QUANT_FORMATS)('$name: F16 activations are summed in F32', async (format) => {
  const columns = format.blockLength > 32 ? format.blockLength : 96;
  const product = { format, rows: 65, columns, numTokens: [17], kind, activations: 'f16' } as const;
  await expectProduct(await openVariant({}), product);
});

test.each([1, 63, 64, 65, 1031])('%d outputs, around a tile', async (rows) => {
  const device = await openVariant({});
  await expectProduct(device, {
    format: q8_0,
    rows,
    columns: 64,
    numTokens: [10],
    kind,
  });
});

test.each([32, 37, 4096 + 32])('sums %d weights within an F32 error', async (columns) => {
  const device = await openVariant({});
  await expectProduct(device, { format: f16, rows: 5, columns, numTokens: [9], kind });
});
