/** What every weight format promises, whatever its blocks look like. */
import { expect, test } from 'vitest';
import type { QuantFormat } from '../../src/kernels/quant/quant-format.ts';
import { nmse } from '../../src/kernels/reference.ts';
import { rowBytes } from '../../src/kernels/weight-matrix.ts';
import { openVariant } from '../support/gpu.ts';
import { gather, multiply } from '../support/matmul.ts';

/** Registers the suite for one format. */
export const quantCases = (format: QuantFormat): void => {
  const { blockLength } = format;

  test('a block decodes alike wherever it lies in the row', () => {
    const bytes = Uint8Array.from({ length: format.blockBytes }, (_, i) => (i * 37 + 11) & 0x3f);
    const alone = new Float32Array(blockLength);
    format.dequantize(bytes, alone);
    const thrice = new Float32Array(3 * blockLength);
    // Rows may begin anywhere in a file's bytes.
    const shifted = new Uint8Array(1 + 3 * bytes.length);
    for (let i = 0; i < 3; i++) shifted.set(bytes, 1 + i * bytes.length);
    format.dequantize(shifted.subarray(1), thrice);
    expect([...thrice]).toEqual([...alone, ...alone, ...alone]);
  });

  test('a row has a whole number of bytes', () => {
    expect(rowBytes(format, 3 * blockLength)).toBe(3 * format.blockBytes);
  });

  test.each([1, 3, 9])(
    'the device decodes rows of %d blocks of 32 and more exactly as the reference does',
    async (numBlocks) => {
      const device = await openVariant({});
      const columns = Math.max(1, blockLength / 32) * 32 * numBlocks;
      const { actual, expected } = await gather(device, { format, rows: 5, columns }, [0, 1, 2, 3, 4]);
      expect([...actual]).toEqual([...expected]);
    },
  );

  test.each(['thread', 'gpu'] as const)('multiplies in the %s variants', async (kind) => {
    const device = await openVariant({});
    const columns = Math.max(96, blockLength);
    for (const { actual, expected } of await multiply(device, {
      format,
      rows: 19,
      columns,
      numTokens: [1, 3, 9],
      kind,
    })) {
      expect(nmse(actual, expected)).toBeLessThan(1e-10);
    }
  });
};
