import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRandomGguf } from '../../bench/random-gguf.ts';
import { type KvFormat, kvBlockBytes } from '../../src/kernels/kv-format.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { PrivateBlocks } from '../../src/runtime/kv/private-blocks.ts';
import { type LoadedModel, loadModel } from '../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../src/runtime/logits.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';
import { mixedBatchLogits } from '../support/mixed-batch.ts';
import { nmse } from '../support/oracle.ts';

test.each([
  ['q8', 0.53125],
  ['q4', 0.28125],
] as const)('%s takes %f of the bytes of f16', (format, share) => {
  for (const headDim of [32, 64, 128, 256]) {
    const shape = { numKvHeads: 3, headDim, blockSize: 16 };
    expect(kvBlockBytes(format, shape) / kvBlockBytes('f16', shape)).toBe(share);
  }
});

/** Heads of 40 columns: a whole group of 32 and a shorter one. */
const SHAPE = {
  dim: 160,
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

/** NMSE against F32 KV, and against the same format when tokens are cut into other steps: then a level flips at most. */
const BOUNDS = { q8: { loss: 1e-4, flips: 1e-5 }, q4: { loss: 2e-2, flips: 2e-3 } };

describe('a random model', () => {
  let folder: string;
  let path: string;
  let exact: Float32Array;
  const open = (kvFormat: KvFormat) =>
    loadModel(path, { checks: 'full', activations: 'f32', kvFormat, maxRows: 160, contextLength: 256 });
  const run = async (model: LoadedModel, chunk: number) =>
    (await sequenceLogits(model.runner, IDS, chunk, SHAPE.vocabularySize)).logits;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kv-formats-'));
    path = join(folder, 'random.gguf');
    writeRandomGguf(path, SHAPE, 'q8_0');
    const model = await open('f32');
    exact = await run(model, IDS.length);
    await model.runner.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  describe.each(['q8', 'q4'] as const)('with %s KV', (kvFormat) => {
    let model: LoadedModel;
    let whole: Float32Array;
    beforeAll(async () => {
      model = await open(kvFormat);
      whole = await run(model, IDS.length);
    });
    afterAll(() => model.runner.close());

    test('stays near the logits of F32 KV', () => {
      expect(nmse(whole, exact)).toBeGreaterThan(0);
      expect(nmse(whole, exact)).toBeLessThan(BOUNDS[kvFormat].loss);
    });

    test.each([1, 7])('gives in chunks of %i what it gives whole', async (chunk) => {
      expect(nmse(await run(model, chunk), whole)).toBeLessThan(BOUNDS[kvFormat].flips);
    });

    test('gives each sequence of a mixed batch what it gives alone', async () => {
      const oracle = { ids: IDS, vocabularySize: SHAPE.vocabularySize, logits: whole };
      for (const logits of await mixedBatchLogits(model.runner, oracle)) {
        expect(nmse(logits, whole)).toBeLessThan(BOUNDS[kvFormat].flips);
      }
    });
  });

  test('has a fingerprint of its own in every format', async () => {
    const fingerprints = new Set<string>();
    for (const kvFormat of ['f32', 'q8', 'q4'] as const) {
      const { runner, description } = await open(kvFormat);
      fingerprints.add(description.fingerprint);
      await runner.close();
    }
    expect(fingerprints.size).toBe(3);
  });
});

/** With one right answer: which of a story's words comes next is a matter of less than a cache's rounding. */
const CHATS = ['Count to 12', 'What is 50 - 23?', 'Spell the word "lavender".', 'Which endpoint lists the models?'];

describe.runIf(existsSync(EMBEDDED_MODEL_PATH))('the embedded model', () => {
  /** Greedy answers, token ids up to the end of the turn or 60 of them. */
  const answers = async (kvFormat: KvFormat): Promise<number[][]> => {
    const options = { activations: 'f32', kvFormat, maxRows: 64, maxSequences: 1, contextLength: 512 } as const;
    const { runner, tokenizer } = await loadModel(EMBEDDED_MODEL_PATH, options);
    const { encode } = createTokenizer(tokenizer!);
    const blocks = new PrivateBlocks(runner, options.contextLength);
    const all: number[][] = [];
    for (const chat of CHATS) {
      const prompt = `<|im_start|>user\n${chat}<|im_end|>\n<|im_start|>assistant\n`;
      const ids = [...encode(prompt, { parseSpecial: true })];
      const [end] = encode('<|im_end|>', { parseSpecial: true });
      const numPrompt = ids.length;
      for (let start = 0; ids.length < numPrompt + 60 && ids.at(-1) !== end; start = ids.length - 1) {
        const step = await runner.forward(blocks.batch([{ sequence: 0, start, tokenIds: ids.slice(start) }], 'last'));
        ids.push(step.argmax[0]!);
      }
      all.push(ids.slice(numPrompt));
    }
    await runner.close();
    return all;
  };

  test.each(['q8', 'q4'] as const)('says with %s KV what it says with F32 KV', async (kvFormat) => {
    expect(await answers(kvFormat)).toEqual(await answers('f32'));
  });
});
