import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeRandomGguf } from '../../bench/random-gguf.ts';
import { SHAPES } from '../../bench/random-shapes.ts';
import { PrivateBlocks } from '../../src/runtime/kv/private-blocks.ts';
import { type LoadedModel, loadModel } from '../../src/runtime/load-model.ts';
import type { Batch } from '../../src/runtime/model-runner.ts';

const VOCABULARY_SIZE = 300;
const IDS = Array.from({ length: 61 }, (_, index) => (index * 89) % VOCABULARY_SIZE);

let folder: string;
let model: LoadedModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'transfer-'));
  const path = join(folder, 'model.gguf');
  const sizes = { dim: 64, numLayers: 4, numHeads: 4, numKvHeads: 2, headDim: 16, ffnDim: 64 };
  const metadata = { 'attention.sliding_window': { u32: 20 } };
  const shape = { ...SHAPES['gemma-2-2b'], ...sizes, vocabularySize: VOCABULARY_SIZE, contextLength: 256, metadata };
  writeRandomGguf(path, shape, 'f16');
  model = await loadModel(path, {
    checks: 'full',
    activations: 'f32',
    kvFormat: 'f32',
    maxBatchTokens: 64,
    contextLength: 256,
  });
});
afterAll(async () => {
  await model.runner.close();
  rmSync(folder, { recursive: true });
});

const lastLogits = async (batch: Batch): Promise<number[]> => [
  ...(await (await model.runner.forward(batch)).readLogits([0])),
];

/** The step that computes the last token, once all before it are in the cache. */
const lastStep = (sequence: number): Batch =>
  blocksOf().batch([{ sequence, start: IDS.length - 1, tokenIds: IDS.slice(-1) }], 'last');

const blocksOf = () => new PrivateBlocks(model.runner, 64, 2);

const prefill = async (sequence: number, ids: readonly number[]): Promise<void> => {
  const { limits } = model.runner;
  for (let start = 0; start < ids.length - 1; start += limits.maxTokens) {
    const tokenIds = ids.slice(start, Math.min(ids.length - 1, start + limits.maxTokens));
    await model.runner.forward(blocksOf().batch([{ sequence, start, tokenIds }], 'last'));
  }
};

/** The blocks of a sequence's tables, group by group. */
const tableBlocks = (batch: Batch): number[] => batch.groups.flatMap(({ blockTables }) => [...blockTables[0]!]);

test('blocks that were read, overwritten and written back, elsewhere and in another order, give the same logits', async () => {
  const { runner } = model;
  expect(runner.kv.groups.length).toBeGreaterThan(1);
  await prefill(0, IDS);
  const expected = await lastLogits(lastStep(0));
  const from = tableBlocks(lastStep(0));
  const payloads = await runner.readBlocks(from);
  expect(payloads.map(({ byteLength }) => byteLength)).toEqual(from.map(() => runner.kv.blockBytes));
  await prefill(0, [...IDS].reverse());
  expect(await lastLogits(lastStep(0))).not.toEqual(expected);
  // Into the blocks of the other sequence, the last one first.
  const to = tableBlocks(lastStep(1));
  await runner.writeBlocks([...to].reverse(), [...payloads].reverse());
  expect(await lastLogits(lastStep(1))).toEqual(expected);
});

test('a step finds the copies it asked for', async () => {
  await prefill(0, IDS);
  const expected = await lastLogits(lastStep(0));
  const to = tableBlocks(lastStep(1));
  const copies = tableBlocks(lastStep(0)).map((from, index) => ({ from, to: to[index]! }));
  expect(await lastLogits({ ...lastStep(1), copies })).toEqual(expected);
});

test('refuses to read more blocks at once than it has room for', async () => {
  const blocks = new Array<number>(model.runner.maxBlocksMoved + 1).fill(0);
  await expect(model.runner.readBlocks(blocks)).rejects.toMatchObject({ code: 'internal' });
});

test('many writes at once, some of them unwanted when their turn comes, each leave what they were given', async () => {
  const { runner } = model;
  const payloads = Array.from({ length: 12 }, (_, index) => new Uint8Array(runner.kv.blockBytes).fill(index + 1));
  const isUnwanted = (block: number): boolean => block % 4 === 3;
  await runner.writeBlocks(
    [...payloads.keys()],
    [...payloads.keys()].map(() => new Uint8Array(runner.kv.blockBytes)),
  );
  const written = await Promise.all(
    payloads.map((payload, block) => runner.writeBlocks([block], [payload], () => !isUnwanted(block))),
  );
  expect(written).toEqual(payloads.map((_, block) => !isUnwanted(block)));
  const found = await runner.readBlocks([...payloads.keys()]);
  expect(found.map((bytes) => new Set(bytes))).toEqual(
    payloads.map((_, block) => new Set([isUnwanted(block) ? 0 : block + 1])),
  );
});
