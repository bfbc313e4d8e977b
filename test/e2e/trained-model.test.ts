import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, GenerationRequest } from '../../src/runtime/api.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { hasTestData, testData } from '../support/test-data.ts';

/** What llama.cpp gives for this model: prompt ids, and its greedy text. */
interface Reference {
  readonly prompt: string;
  readonly promptTokenIds: readonly number[];
  readonly maxTokens: number;
  /** Cut a few tokens before `maxTokens`. */
  readonly greedyText: string;
}

const modelPath = testData('models/stories260K.gguf');
const referencePath = testData('models/stories260K.reference.json');

const textOf = async (engine: Engine, request: Omit<GenerationRequest, 'id' | 'stop'>): Promise<string> => {
  const generation = await engine.generate({ id: 'test', stop: [], ...request }, new AbortController().signal);
  let text = '';
  for await (const event of generation.events) if (event.type === 'text') text += event.text;
  return text;
};

const GREEDY = { ...DEFAULT_SAMPLING, temperature: 0 };

test('has its data where the data folder is', () => expect(modelPath !== undefined).toBe(hasTestData));

describe.runIf(modelPath && referencePath)('a trained model', () => {
  let engine: Engine;
  let references: readonly Reference[];
  beforeAll(async () => {
    references = JSON.parse(readFileSync(referencePath!, 'utf8')) as Reference[];
    engine = await createEngine({ model: modelPath!, checks: 'full', maxBatchTokens: 64 });
  });
  afterAll(() => engine.close());

  /** The answer as far as the reference goes. */
  const ask = async ({ prompt, maxTokens, greedyText }: Reference) => {
    const text = await textOf(engine, { prompt: { kind: 'text', text: prompt }, maxTokens, sampling: GREEDY });
    return text.slice(0, greedyText.length);
  };

  test("continues each prompt with llama.cpp's greedy text", async () => {
    for (const reference of references) expect(await ask(reference)).toBe(reference.greedyText);
  });

  test('takes token ids for text', async () => {
    const { promptTokenIds, maxTokens, greedyText } = references[0]!;
    const prompt = { kind: 'tokens', tokenIds: promptTokenIds } as const;
    const text = await textOf(engine, { prompt, maxTokens, sampling: GREEDY });
    expect(text.slice(0, greedyText.length)).toBe(greedyText);
  });

  test('gives each sequence of a batch the text it gets alone', async () => {
    const crowd = Array.from({ length: 12 }, (_, index) => references[index % references.length]!);
    const texts = await Promise.all(crowd.map(ask));
    for (const [index, text] of texts.entries()) expect(text).toBe(crowd[index]!.greedyText);
  });

  test('gives one seed one text, whatever else is in the batch', async () => {
    const sampled = (seed: number) =>
      textOf(engine, {
        prompt: { kind: 'text', text: 'One day' },
        maxTokens: 40,
        sampling: { ...DEFAULT_SAMPLING, temperature: 0.9, topP: 0.95, seed },
      });
    const alone = await sampled(1234);
    const crowd = await Promise.all([1234, 1, 2, 3, 4, 1234].map(sampled));
    expect(crowd[0]).toBe(alone);
    expect(crowd[5]).toBe(alone);
    expect(new Set(crowd).size).toBeGreaterThan(3);
  });

  test('keeps the text of sequences that are preempted, and whose prompts come in chunks', async () => {
    const [reference] = references;
    // Twelve blocks, of which one of these answers takes up to eleven.
    const cramped = await createEngine({
      model: modelPath!,
      checks: 'full',
      maxBatchTokens: 4,
      maxRunning: 4,
      contextLength: 192,
      kvMemoryBytes: 1,
    });
    const texts = await Promise.all(
      Array.from({ length: 4 }, (_, index) =>
        textOf(cramped, {
          prompt: { kind: 'text', text: reference!.prompt },
          maxTokens: 120 + index,
          sampling: GREEDY,
        }),
      ),
    );
    for (const text of texts) expect(reference!.greedyText.startsWith(text.slice(0, 100))).toBe(true);
    expect(cramped.stats().preemptions).toBeGreaterThan(0);
    expect(cramped.stats().kvBlocksUsed).toBe(0);
    await cramped.close();
  });
});
