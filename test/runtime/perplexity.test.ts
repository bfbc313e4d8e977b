import { afterAll, beforeAll, expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { type LoadedModel, loadModel } from '../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../src/runtime/logits.ts';
import { measurePerplexity } from '../../src/runtime/perplexity.ts';
import { createTokenizer } from '../../src/workers/tokenizer/tokenizer.ts';

let model: LoadedModel;
beforeAll(async () => {
  model = await loadModel(EMBEDDED_MODEL_PATH, { activations: 'f32', kvFormat: 'f32', maxRows: 16, maxSequences: 1 });
});
afterAll(() => model?.runner.close());

const TEXT = 'Hello! My name is Ada. I count: one, two, three, four, five, six, seven.';

/** −log softmax(logits)[id], the plain way. */
const surprise = (logits: Float32Array, id: number): number =>
  Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[id]!;

test('one window gives the mean surprise of the logits', async () => {
  const definition = model.tokenizer!;
  const ids = [...createTokenizer(definition).encode(TEXT, { parseSpecial: false })];
  const bos = 'addBos' in definition && definition.addBos ? [definition.bosTokenId!] : [];
  const all = [...bos, ...ids];
  const width = model.description.vocabularySize;
  const { logits } = await sequenceLogits(model.runner, all, 16, width);
  const surprises = all.slice(1).map((id, i) => surprise(logits.subarray(i * width, (i + 1) * width), id));
  const mean = surprises.reduce((sum, value) => sum + value, 0) / surprises.length;
  const result = await measurePerplexity(model, TEXT, { window: 256, stride: 128 });
  expect(result.scored).toBe(surprises.length);
  expect(Math.log(result.perplexity)).toBeCloseTo(mean, 5);
});

test('windows score each token once, the later ones with at least window − stride before them', async () => {
  const result = await measurePerplexity(model, TEXT.repeat(4), { window: 20, stride: 7 });
  expect(result.scored).toBeGreaterThanOrEqual(result.tokens - 1);
  expect(result.scored).toBeLessThanOrEqual(result.tokens);
  const progress: number[] = [];
  await measurePerplexity(model, TEXT, { window: 20, stride: 7, onProgress: (scored) => progress.push(scored) });
  expect(progress.at(-1)).toBe(createTokenizer(model.tokenizer!).encode(TEXT, { parseSpecial: false }).length);
});

test.each([
  [{ window: 1, stride: 1 }, /a window of 1 tokens; allowed: 2 to/],
  [{ window: 1e9, stride: 1 }, /a window of 1000000000 tokens/],
  [{ window: 16, stride: 16 }, /a stride of 16 tokens; allowed: 1 to 15/],
])('%o is refused', async (options, message) => {
  await expect(measurePerplexity(model, TEXT, options)).rejects.toThrow(message);
});

test('a text without two tokens is refused', async () => {
  await expect(measurePerplexity(model, '', { window: 16, stride: 8 })).rejects.toThrow(/fewer than two tokens/);
});
