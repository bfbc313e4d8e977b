/** Unusual head counts, sizes and mixtures of types, a model for each family; `bench/odd-shapes.ts` goes through many more. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { oddModel, oddModelErrors } from '../../../bench/odd-shapes.ts';

const folder = mkdtempSync(join(tmpdir(), 'odd-shapes-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Seeds that between them have every family, one key head, 7 queries to a key, heads of 16 to 256, and most types. */
const SEEDS = [20, 22, 23, 28, 30, 34, 42, 17, 45];

test.each(SEEDS)('model %d gives the logits of the CPU', async (seed) => {
  const errors = await oddModelErrors(
    join(folder, 'model.gguf'),
    seed,
    { activations: 'f32', kvFormat: 'f32' },
    [64, 7],
  );
  expect(Math.max(...errors), JSON.stringify(oddModel(seed).shape)).toBeLessThan(1e-10);
});
