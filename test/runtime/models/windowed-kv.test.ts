/** Models whose layers see different lengths of the past: long runs in which every windowed layer overwrites its blocks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRandomGguf } from '../../../bench/random-gguf.ts';
import { type ModelShape, SHAPES } from '../../../bench/random-shapes.ts';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../../src/runtime/logits.ts';
import { findArchitecture } from '../../../src/runtime/models/index.ts';
import { openModel } from '../../../src/runtime/weights/open-model.ts';
import { mixedBatchLogits } from '../../support/mixed-batch.ts';
import { nmse } from '../../support/oracle.ts';

const WINDOW = 10;
const MAX_BATCH_TOKENS = 66;
const VOCABULARY_SIZE = 300;
const IDS = Array.from({ length: 170 }, (_, i) => (i * 29 + (i >> 3)) % VOCABULARY_SIZE);

const small = (shape: ModelShape, numLayers: number): ModelShape => ({
  ...shape,
  dim: 64,
  numLayers,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 16,
  ffnDim: 64,
  vocabularySize: VOCABULARY_SIZE,
  contextLength: 256,
  metadata: { ...shape.metadata, 'attention.sliding_window': { u32: WINDOW } },
});

const MODELS = [
  { name: 'Gemma 2', shape: small(SHAPES['gemma-2-2b'], 4), maxNmse: 1e-6 },
  { name: 'Gemma 3', shape: small(SHAPES['gemma-3-1b'], 8), maxNmse: 1e-6 },
  { name: 'gpt-oss', shape: { ...small(SHAPES['gpt-oss-20b'], 4), experts: { count: 4, used: 2 } }, maxNmse: 1e-6 },
] as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'windowed-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(MODELS)('$name', ({ name, shape, maxNmse }) => {
  const path = () => join(folder, `${name}.gguf`);
  const open = (maxBatchTokens: number) =>
    loadModel(path(), {
      checks: 'full',
      activations: 'f32',
      kvFormat: 'f32',
      maxRows: MAX_BATCH_TOKENS,
      maxBatchTokens,
      contextLength: 256,
    });

  test('gives the logits of the CPU with windowed blocks reused, in chunks, token by token and in a batch', async () => {
    writeRandomGguf(path(), shape, 'f16');
    const file = await openModel(path());
    const architecture = findArchitecture(file.string('general.architecture'), path());
    const expected = await architecture.reference(architecture.readConfig(file), file, IDS, 256);
    await file.close();
    const { runner } = await open(MAX_BATCH_TOKENS);
    expect(runner.kv.groups.filter(({ window }) => window === WINDOW).length).toBeGreaterThan(0);
    for (const chunk of [MAX_BATCH_TOKENS, 7, 1]) {
      const { logits } = await sequenceLogits(runner, IDS, chunk, VOCABULARY_SIZE);
      expect(nmse(logits, expected)).toBeLessThan(maxNmse);
    }
    const oracle = { ids: IDS, vocabularySize: VOCABULARY_SIZE, logits: Float32Array.from(expected) };
    for (const logits of await mixedBatchLogits(runner, oracle)) expect(nmse(logits, expected)).toBeLessThan(maxNmse);
    await runner.close();
  });

  test('takes less memory for a sequence than blocks of all layers would', async () => {
    const [windowed, whole] = [await open(16), await open(256)];
    expect(whole.runner.kv.groups).toEqual([{}]);
    const bytes = ({ runner: { kv } }: typeof whole) => kv.numBlocks * kv.blockBytes;
    expect(bytes(windowed)).toBeLessThan(0.7 * bytes(whole));
    for (const { runner } of [windowed, whole]) await runner.close();
  });
});
