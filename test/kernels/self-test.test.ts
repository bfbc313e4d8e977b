import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runSelfTests } from '../../src/kernels/self-test.ts';
import { openVariant } from '../support/gpu.ts';

test('every kernel passes its self-test, and none is left out', async () => {
  const kernels = new Set<string>();
  for await (const { kernel, variant, passed, error } of runSelfTests(await openVariant({}))) {
    expect(passed, `${kernel} ${variant}: ${error}`).toBe(true);
    kernels.add(kernel);
  }
  // A kernel is what has a bench; the variants of matmul have one each.
  const benches = readdirSync(new URL('../../bench/kernels/', import.meta.url)).map((file) => file.replace('.ts', ''));
  for (const kernel of kernels) {
    if (kernel !== 'matmul') expect(benches).toContain(kernel);
  }
});
