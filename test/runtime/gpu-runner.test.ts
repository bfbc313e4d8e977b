import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRandomGguf } from '../../bench/random-gguf.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { type LoadedModel, loadModel } from '../../src/runtime/load-model.ts';
import { sequenceBatch, sequenceLogits } from '../../src/runtime/logits.ts';
import { testArchitecture } from '../cases/architecture.ts';
import { openVariant } from '../support/gpu.ts';
import { argmaxOf, nmse } from '../support/oracle.ts';

const SHAPE = {
  dim: 64,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  ffnDim: 96,
  vocabularySize: 1003,
  contextLength: 256,
  ropeBase: 10_000,
  isTied: true,
};
const IDS = Array.from({ length: 41 }, (_, index) => (index * 7919) % SHAPE.vocabularySize);

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runner-'));
  path = join(folder, 'random.gguf');
  writeRandomGguf(path, SHAPE, 'q8_0');
});
afterAll(() => rmSync(folder, { recursive: true }));

const open = (options: Parameters<typeof loadModel>[1] = {}): Promise<LoadedModel> =>
  loadModel(path, { checks: 'full', activations: 'f32', kvFormat: 'f32', maxRows: 64, ...options });

describe('a random model', () => {
  let whole: Float32Array;
  beforeAll(async () => {
    const { runner } = await open();
    whole = (await sequenceLogits(runner, IDS, IDS.length, SHAPE.vocabularySize)).logits;
    await runner.close();
  });
  testArchitecture(() => ({
    modelPath: path,
    oracle: { ids: IDS, vocabularySize: SHAPE.vocabularySize, logits: whole },
    options: { activations: 'f32', kvFormat: 'f32', maxRows: 160 },
    maxNmse: 1e-6,
    exactTop1: false,
  }));
});

describe('GpuRunner', () => {
  test('reports the best candidates and the mass of whole rows', async () => {
    const { runner } = await open();
    const step = await runner.forward({ ...sequenceBatch(runner, IDS, 0, 5), numCandidates: 20 });
    const row = (await step.readLogits([4])).subarray(0, SHAPE.vocabularySize);
    const sorted = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
    expect([...step.candidateIds.subarray(80, 100)]).toEqual(sorted.slice(0, 20));
    expect([...step.candidateLogits.subarray(80, 100)]).toEqual(sorted.slice(0, 20).map((id) => row[id]));
    const mass = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    expect(step.logSumExp[4]).toBeCloseTo(Math.log(mass), 4);
    expect(step.argmax[4]).toBe(argmaxOf(row));
    await runner.close();
  });

  test('fails with device_lost once its device is gone, and a new runner computes the same', async () => {
    const lost = await open();
    const expected = (await sequenceLogits(lost.runner, IDS, 8, SHAPE.vocabularySize)).logits;
    lost.runner.loseDevice();
    const failure = await sequenceLogits(lost.runner, IDS, 8, SHAPE.vocabularySize).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect((failure as EngineError).code).toBe('device_lost');
    await lost.runner.close();
    const { runner } = await open();
    const again = (await sequenceLogits(runner, IDS, 8, SHAPE.vocabularySize)).logits;
    expect(nmse(again, expected)).toBeLessThan(1e-12);
    await runner.close();
  });

  test('fails with device_lost when the device goes while logits are read back', async () => {
    const { runner } = await open();
    const step = await runner.forward(sequenceBatch(runner, IDS, 0, 5));
    runner.loseDevice();
    await expect(step.readLogits([4])).rejects.toMatchObject({ code: 'device_lost' });
    await runner.close();
  });

  test('refuses a context beyond the training length, naming both', async () => {
    const failure = await open({ contextLength: 257 }).catch((error: unknown) => error);
    expect((failure as EngineError).code).toBe('config_invalid');
    expect((failure as EngineError).message).toMatch(/--context 257: .* trained for 256 tokens/);
  });

  test('keeps the KV pool within its memory, and at least one whole sequence', async () => {
    const small = await open({ kvMemoryBytes: 1 });
    expect(small.description.contextLength).toBe(16);
    await small.runner.close();
    const { runner, description } = await open({ kvMemoryBytes: 512 * 1024, contextLength: 64 });
    expect(runner.kv.numBlocks * runner.kv.blockBytes).toBeLessThanOrEqual(512 * 1024);
    await runner.close();
    expect(description.fingerprint).toBe(small.description.fingerprint);
  });

  test('has another fingerprint where it computes in another type', async () => {
    if (!(await openVariant({})).hasF16) return;
    const [whole, half] = [await open(), await open({ kvFormat: 'f16' })];
    expect(half.description.fingerprint).not.toBe(whole.description.fingerprint);
    for (const { runner } of [whole, half]) await runner.close();
  });
});
