import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeRandomGguf } from '../../../bench/random-gguf.ts';
import type { LoadOptions } from '../../../src/runtime/create-engine-options.ts';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../../src/runtime/logits.ts';
import { nmse } from '../../support/oracle.ts';

const SHAPE = {
  dim: 256,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  ffnDim: 512,
  vocabularySize: 300,
  contextLength: 64,
  ropeBase: 10_000,
  isTied: true,
};
const IDS = Array.from({ length: 12 }, (_, i) => 10 + i * 23);

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quantize-'));
  path = join(folder, 'f16.gguf');
  writeRandomGguf(path, SHAPE, 'f16');
});
afterAll(() => rmSync(folder, { recursive: true }));

const load = async (options: Pick<LoadOptions, 'quantize'>) => {
  const model = await loadModel(path, { activations: 'f32', kvFormat: 'f32', maxRows: 16, ...options });
  const { logits } = await sequenceLogits(model.runner, IDS, IDS.length, SHAPE.vocabularySize);
  const { gpuBytes } = model.runner;
  await model.runner.close();
  return { logits, gpuBytes, fingerprint: model.description.fingerprint };
};

test('weights converted while loading take less room the fewer their bits, answer nearly the same, and are another model to a cache', async () => {
  const plain = await load({});
  const bounds = { q8_0: 1e-3, q4_k: 0.1 } as const;
  let smaller = Number.POSITIVE_INFINITY;
  for (const quantize of ['q8_0', 'q4_k'] as const) {
    const converted = await load({ quantize });
    expect(nmse(converted.logits, plain.logits)).toBeLessThan(bounds[quantize]);
    expect(converted.gpuBytes).toBeLessThan(smaller);
    expect(converted.fingerprint).not.toBe(plain.fingerprint);
    smaller = converted.gpuBytes;
  }
});
