/** Checkpoints quantized as published compute what their weights stand for, on the device and on the CPU. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../../src/runtime/logits.ts';
import { findArchitecture } from '../../../src/runtime/models/index.ts';
import { openModel } from '../../../src/runtime/weights/open-model.ts';
import { nmse } from '../../support/oracle.ts';
import { fp8Model, gptOssModel, mlxModel, type PublishedModel, writeModel } from '../../support/published-model.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'published-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const IDS = [3, 17, 5, 39, 0, 21, 8, 30, 11, 2];

const deviceLogits = async (path: string, chunk: number) => {
  const model = await loadModel(path, { activations: 'f32', kvFormat: 'f32', maxRows: 16, checks: 'full' });
  try {
    return (await sequenceLogits(model.runner, IDS, chunk, 40)).logits;
  } finally {
    await model.runner.close();
  }
};

const cpuLogits = async (path: string) => {
  const file = await openModel(path);
  try {
    const architecture = findArchitecture(file.string('general.architecture'), path);
    return await architecture.reference(architecture.readConfig(file), file, IDS, 64);
  } finally {
    await file.close();
  }
};

const CASES: readonly (readonly [string, () => PublishedModel])[] = [
  ['MLX, groups of 32, F16 scales', () => mlxModel(32, 'F16')],
  ['MLX, groups of 64, BF16 scales', () => mlxModel(64, 'BF16')],
  ['MLX, groups of 128, F16 scales', () => mlxModel(128, 'F16')],
  ['FP8 with scales of squares', fp8Model],
  ["gpt-oss's MXFP4", gptOssModel],
];

test.each(CASES)('%s', async (_, makeModel) => {
  const model = makeModel();
  const [plain, quantized] = [mkdtempSync(join(root, 'plain-')), mkdtempSync(join(root, 'quantized-'))];
  writeModel(plain, model.config, model.plain);
  writeModel(quantized, { ...model.config, ...model.quantization }, model.quantized);
  const expected = await cpuLogits(plain);
  expect(expected.some((value) => value !== 0)).toBe(true);
  expect(nmse(await cpuLogits(quantized), expected)).toBeLessThan(1e-12);
  expect(nmse(await deviceLogits(quantized, IDS.length), expected)).toBeLessThan(1e-9);
  expect(nmse(await deviceLogits(quantized, 1), expected)).toBeLessThan(1e-9);
});

test('sizes that MLX has and we have not are refused with the module, and what is supported', async () => {
  const folder = mkdtempSync(join(root, 'odd-'));
  const model = mlxModel(64, 'F16');
  const quantization = { group_size: 64, bits: 3 };
  writeModel(folder, { ...model.config, quantization }, model.quantized);
  await expect(openModel(folder)).rejects.toThrow(
    /quantized to 3 bits in groups of 64.*supported: affine, 4 or 8 bits/,
  );
});

test('scales that are missing or of another shape are refused by name', async () => {
  const folder = mkdtempSync(join(root, 'odd-'));
  const { config, quantization, quantized } = fp8Model();
  const { 'model.layers.0.mlp.up_proj.weight_scale_inv': _, ...rest } = quantized;
  writeModel(folder, { ...config, ...quantization }, rest);
  await expect(openModel(folder)).rejects.toThrow(/up_proj\.weight: no scales \[3, 2\]/);
  const mlx = mlxModel(64, 'F16');
  writeModel(folder, { ...mlx.config, quantization: { group_size: 32, bits: 4 } }, mlx.quantized);
  await expect(openModel(folder)).rejects.toThrow(/do not fit \[40,256\] in groups of 32/);
});
