/** Embeddings from models that also generate: what they are, and how they share steps with conversations. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { writeRandomGguf } from '../../bench/random-gguf.ts';
import type { ModelShape } from '../../bench/random-shapes.ts';
import type { Engine, Prompt } from '../../src/runtime/api.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import type { CreateEngineOptions } from '../../src/runtime/create-engine-options.ts';
import type { GpuRunner } from '../../src/runtime/gpu-runner.ts';
import type { DecoderConfig } from '../../src/runtime/models/decoder-config.ts';
import { findArchitecture } from '../../src/runtime/models/index.ts';
import { type Pooling, pooledRows } from '../../src/runtime/models/pooling.ts';
import { referenceStates } from '../../src/runtime/models/reference-decoder.ts';
import { openModel } from '../../src/runtime/weights/open-model.ts';
import { collect, request } from '../support/engine.ts';
import { until } from '../support/until.ts';

const LLAMA: ModelShape = {
  dim: 64,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  ffnDim: 96,
  vocabularySize: 400,
  contextLength: 128,
  ropeBase: 10_000,
  isTied: true,
  hasRandomNorms: true,
};
/** Deltas have norms of their own, scores a cap, and every second layer a window. */
const GEMMA: ModelShape = {
  ...LLAMA,
  architecture: 'gemma2',
  hasPostNorms: true,
  headDim: 16,
  metadata: { 'attention.sliding_window': { u32: 16 } },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'decoder-embeddings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const idsOf = (length: number): number[] => Array.from({ length }, (_, index) => 260 + ((index * 37 + length) % 140));
const prompt = (tokenIds: readonly number[]): Prompt => ({ kind: 'tokens', tokenIds });
const live = () => new AbortController().signal;
/** One token, a block and its neighbours, several chunks, and as long as the context. */
const TEXTS = [1, 2, 15, 16, 17, 50, 128].map(idsOf);

const modelOf = (shape: ModelShape, poolingType?: number): string => {
  const path = join(folder, `${shape.architecture ?? 'llama'}-${poolingType ?? 'unsaid'}.gguf`);
  const pooling = poolingType === undefined ? {} : { pooling_type: { u32: poolingType } };
  writeRandomGguf(path, { ...shape, metadata: { ...shape.metadata, ...pooling } }, 'f32');
  return path;
};

const open = (path: string, options: Partial<CreateEngineOptions>, onRunner: (it: GpuRunner) => void = () => {}) =>
  createEngine(
    { model: path, numWorkerThreads: 1, activations: 'f32', kvFormat: 'f32', checks: 'full', ...options },
    { onRunner },
  );

const start = async (path: string, options: Partial<CreateEngineOptions> = {}, onRunner?: (it: GpuRunner) => void) => {
  const engine = await open(path, options, onRunner);
  onTestFinished(() => engine.close());
  return engine;
};

const referenceOf = async (path: string, pooling: Pooling): Promise<Float64Array[]> => {
  const file = await openModel(path);
  const config = findArchitecture(file.string('general.architecture'), path).readConfig(file) as DecoderConfig;
  const embeddings: Float64Array[] = [];
  for (const ids of TEXTS) {
    const states = await referenceStates(config, file, ids, 128);
    const [first, count] = pooledRows(pooling, ids.length);
    const sum = new Float64Array(config.hiddenSize);
    for (const row of states.slice(first, first + count)) for (const [i, value] of row.entries()) sum[i]! += value;
    const length = Math.hypot(...sum);
    embeddings.push(sum.map((value) => value / length));
  }
  await file.close();
  return embeddings;
};

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [product, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    left += a[i]! ** 2;
    right += b[i]! ** 2;
  }
  return product / Math.sqrt(left * right);
};

const expectNear = (actual: readonly Float32Array[], expected: readonly ArrayLike<number>[]): void => {
  expect(actual.length).toBe(expected.length);
  for (const [index, embedding] of actual.entries()) {
    expect(1 - cosine(embedding, expected[index]!)).toBeLessThan(1e-9);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
  }
};

test.each([
  ['mean', 1, LLAMA],
  ['cls', 2, LLAMA],
  ['last', 3, LLAMA],
  ['last', undefined, LLAMA],
  ['mean', 1, GEMMA],
  ['last', 3, GEMMA],
] as const)('pools by %s where the file says %s, in chunks and together with others', async (pooling, type, shape) => {
  const path = modelOf(shape, type);
  const engine = await start(path, { maxBatchTokens: 40, maxRunning: 16 });
  expect(engine.model).toMatchObject({ generates: true, embedding: { size: 64, pooling } });
  const expected = await referenceOf(path, pooling);
  const { embeddings, promptTokens } = await engine.embed(TEXTS.map(prompt), { signal: live() });
  expectNear(embeddings, expected);
  expect(promptTokens).toBe(TEXTS.flat().length);
  const alone = await engine.embed([prompt(TEXTS[5]!)], { signal: live() });
  expectNear(alone.embeddings, [expected[5]!]);
});

test('a reranker generates, and makes no embeddings', async () => {
  const engine = await start(modelOf(LLAMA, 4));
  expect(engine.model.embedding).toBeUndefined();
  await expect(engine.embed([prompt([260])], { signal: live() })).rejects.toMatchObject({ code: 'not_supported' });
});

describe('beside conversations', () => {
  let path: string;
  let expected: Float64Array[];
  let engine: Engine;
  beforeAll(async () => {
    path = modelOf(LLAMA, 1);
    expected = await referenceOf(path, 'mean');
    engine = await open(path, { maxBatchTokens: 64, maxPrefillChunk: 16, maxRunning: 8 });
  });
  afterAll(() => engine.close());

  const generate = async (engine: Engine, maxTokens: number) => {
    const wanted = request(prompt(idsOf(5)), {
      maxTokens,
      sampling: { ...request('').sampling, logitBias: [[2, -100]] },
    });
    return collect(await engine.generate(wanted, live()));
  };
  const textOf = (events: readonly { readonly type: string; readonly text?: string }[]): string =>
    events.map((event) => (event.type === 'text' ? event.text : '')).join('');

  test('streams get a token at every step, the same as alone', async () => {
    const alone = textOf(await generate(engine, 100));
    const before = engine.stats();
    const answer = generate(engine, 100);
    await until(() => engine.stats().completionTokens > before.completionTokens);
    const at = engine.stats();
    const { embeddings } = await engine.embed(TEXTS.map(prompt), { signal: live() });
    const now = engine.stats();
    expectNear(embeddings, expected);
    expect(now.steps - at.steps).toBeGreaterThan(5);
    expect(now.completionTokens - at.completionTokens).toBeGreaterThanOrEqual(now.steps - at.steps - 2);
    expect(textOf(await answer)).toBe(alone);
  });

  test('a conversation finds its place among hundreds of texts', async () => {
    let isOver = false;
    const embedding = engine
      .embed(
        Array.from({ length: 300 }, () => prompt(idsOf(20))),
        { signal: live() },
      )
      .then((all) => {
        isOver = true;
        return all;
      });
    await until(() => engine.stats().running > 0);
    await generate(engine, 3);
    expect(isOver).toBe(false);
    expect((await embedding).embeddings.length).toBe(300);
  });

  test('texts leave nothing in the cache, and find nothing there', async () => {
    await generate(engine, 20);
    const { cachedTokens, kvBlocksCached } = engine.stats();
    const { embeddings } = await engine.embed(TEXTS.map(prompt), { signal: live() });
    expectNear(embeddings, expected);
    expect(engine.stats()).toMatchObject({ cachedTokens, kvBlocksCached, kvBlocksUsed: 0, running: 0, waiting: 0 });
  });

  test('a text that had to give its blocks back comes out the same', async () => {
    // Eight blocks, of which the text holds six when the conversation grows.
    const engine = await start(path, {
      maxPrefillChunk: 2,
      maxRunning: 4,
      kvMemoryBytes: 8 * 8192,
      contextLength: 128,
    });
    const text = idsOf(96);
    const { embeddings: undisturbed } = await engine.embed([prompt(text)], { signal: live() });
    const { completionTokens } = engine.stats();
    const answer = generate(engine, 60);
    await until(() => engine.stats().completionTokens > completionTokens);
    const { embeddings } = await engine.embed([prompt(text)], { signal: live() });
    await answer;
    expectNear(embeddings, undisturbed);
    expect(engine.stats().preemptions).toBeGreaterThan(0);
  });

  test('an aborted request frees its blocks, and others go on', async () => {
    const abort = new AbortController();
    const many = engine.embed(
      Array.from({ length: 200 }, () => prompt(idsOf(60))),
      { signal: abort.signal },
    );
    await until(() => engine.stats().running > 0);
    const few = engine.embed(TEXTS.map(prompt), { signal: live() });
    abort.abort();
    await expect(many).rejects.toMatchObject({ code: 'aborted' });
    expectNear((await few).embeddings, expected);
    expect(engine.stats()).toMatchObject({ kvBlocksUsed: 0, running: 0, waiting: 0 });
  });

  test('requests are refused by their length, their ids and the queue', async () => {
    const engine = await start(path, { maxRunning: 1, maxQueue: 1 });
    await expect(engine.embed([prompt(idsOf(129))], { signal: live() })).rejects.toMatchObject({
      code: 'context_length_exceeded',
      message: 'input 0 has 129 tokens, the model reads at most 128: shorten or split it',
    });
    await expect(engine.embed([prompt([400])], { signal: live() })).rejects.toMatchObject({ code: 'invalid_request' });
    const held = Array.from({ length: 3 }, () => engine.embed([prompt(idsOf(100))], { signal: live() }));
    await until(() => engine.stats().running > 0);
    await expect(engine.embed([prompt([260])], { signal: live() })).rejects.toMatchObject({ code: 'overloaded' });
    await Promise.all(held);
  });

  test('a lost device fails what has begun, and the next request is answered', async () => {
    const runners: GpuRunner[] = [];
    const engine = await start(path, { maxRunning: 4 }, (runner) => runners.push(runner));
    const begun = engine.embed(
      Array.from({ length: 100 }, () => prompt(idsOf(60))),
      { signal: live() },
    );
    await until(() => engine.stats().steps > 2);
    runners[0]!.loseDevice();
    await expect(begun).rejects.toMatchObject({ code: 'device_lost' });
    expectNear((await engine.embed(TEXTS.map(prompt), { signal: live() })).embeddings, expected);
    expect(engine.stats().deviceLosses).toBe(1);
  });

  test('closing fails what waits', async () => {
    const engine = await start(path, { maxRunning: 2 });
    const many = engine.embed(
      Array.from({ length: 100 }, () => prompt(idsOf(60))),
      { signal: live() },
    );
    await until(() => engine.stats().running > 0);
    await Promise.all([engine.close(), expect(many).rejects.toMatchObject({ code: 'shutting_down' })]);
  });
});
