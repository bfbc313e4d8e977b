/** Families without a reference file: the device against the CPU's float64 pass, beyond the original context where there is one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../../src/runtime/logits.ts';
import type { DecoderConfig } from '../../../src/runtime/models/decoder-config.ts';
import { findArchitecture } from '../../../src/runtime/models/index.ts';
import { openModel } from '../../../src/runtime/weights/open-model.ts';
import { nmse } from '../../support/oracle.ts';
import { randomModel, writeModel } from '../../support/published-model.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'families-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const VOCABULARY_SIZE = 40;
const IDS = Array.from({ length: 45 }, (_, i) => (i * 7 + 3) % VOCABULARY_SIZE);
const HALF_ROTARY = 4;

interface Family {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** What the configuration must have become. */
  readonly check: (config: DecoderConfig) => void;
}

const longRope = (short: number, long: number) => ({
  model_type: 'phi3',
  original_max_position_embeddings: 16,
  rope_scaling: {
    type: 'longrope',
    short_factor: new Array(HALF_ROTARY).fill(short),
    long_factor: Array.from({ length: HALF_ROTARY }, (_, i) => long + i),
  },
});

const FAMILIES: readonly Family[] = [
  {
    name: 'SmolLM3: every fourth layer does not rotate',
    config: { model_type: 'smollm3', num_hidden_layers: 5 },
    check: ({ layers }) =>
      expect(layers.map(({ rope }) => rope !== undefined)).toEqual([true, true, true, false, true]),
  },
  {
    name: 'Phi-3 with LongRoPE, served beyond its original context',
    config: longRope(1, 3),
    check: ({ layers }) =>
      expect(layers[0]!.rope!.magnitude).toBeCloseTo(Math.sqrt(1 + Math.log(4) / Math.log(16)), 12),
  },
  {
    name: 'Phi-4-mini: LongRoPE on part of a head',
    config: { ...longRope(1, 3), head_dim: 16, partial_rotary_factor: 0.5, num_attention_heads: 2 },
    check: ({ layers, headDim }) => expect([layers[0]!.rope!.rotaryDim, headDim]).toEqual([8, 16]),
  },
  {
    name: 'Mistral with a window',
    config: { model_type: 'mistral', sliding_window: 9 },
    check: ({ layers }) => expect(layers.map(({ window }) => window)).toEqual([9, 9]),
  },
  {
    name: 'Llama with linear scaling',
    config: { rope_scaling: { type: 'linear', factor: 4 } },
    check: ({ layers }) => expect(layers[0]!.rope!.frequencyFactors).toEqual(new Float64Array(4).fill(4)),
  },
  {
    name: 'Qwen2 with YaRN',
    config: {
      model_type: 'qwen2',
      sliding_window: 8,
      use_sliding_window: false,
      rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
    },
    check: ({ layers }) =>
      expect([layers[0]!.window, layers[0]!.rope!.magnitude]).toEqual([undefined, 1 + 0.1 * Math.log(4)]),
  },
];

test.each(FAMILIES)('$name', async ({ config, check }) => {
  const folder = mkdtempSync(join(root, 'model-'));
  const model = randomModel(config);
  writeModel(folder, model.config, model.tensors);
  const file = await openModel(folder);
  const architecture = findArchitecture(file.string('general.architecture'), folder);
  const decoderConfig = architecture.readConfig(file) as DecoderConfig;
  check(decoderConfig);
  const expected = await architecture.reference(decoderConfig, file, IDS, 64);
  await file.close();
  const loaded = await loadModel(folder, { activations: 'f32', kvFormat: 'f32', maxRows: 64, checks: 'full' });
  for (const chunk of [IDS.length, 7, 1]) {
    const { logits } = await sequenceLogits(loaded.runner, IDS, chunk, VOCABULARY_SIZE);
    expect(nmse(logits, expected)).toBeLessThan(1e-9);
  }
  await loaded.runner.close();
});

test('LongRoPE served within its original context rotates by its short factors', async () => {
  const folder = mkdtempSync(join(root, 'model-'));
  const model = randomModel(longRope(2, 3));
  writeModel(folder, model.config, model.tensors);
  const ids = IDS.slice(0, 16);
  const file = await openModel(folder);
  const architecture = findArchitecture(file.string('general.architecture'), folder);
  const [short, long] = [
    await architecture.reference(architecture.readConfig(file), file, ids, 16),
    await architecture.reference(architecture.readConfig(file), file, ids, 64),
  ];
  await file.close();
  expect(nmse(short, long)).toBeGreaterThan(1e-6);
  for (const [contextLength, expected] of [
    [16, short],
    [64, long],
  ] as const) {
    const loaded = await loadModel(folder, { activations: 'f32', kvFormat: 'f32', maxRows: 64, contextLength });
    const { logits } = await sequenceLogits(loaded.runner, ids, ids.length, VOCABULARY_SIZE);
    await loaded.runner.close();
    expect(nmse(logits, expected)).toBeLessThan(1e-9);
  }
});
