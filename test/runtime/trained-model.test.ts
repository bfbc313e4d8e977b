/** The whole engine over a small trained model: what it says must not depend on what else is in the batch. */
import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Engine } from '../../src/runtime/api.ts';
import { type CreateEngineOptions, createEngine } from '../../src/runtime/create-engine.ts';
import { ask, generate, textOf } from '../support/engine.ts';
import { testData } from '../support/test-data.ts';

interface Reference {
  readonly prompt: string;
  readonly promptTokenIds: readonly number[];
  readonly maxTokens: number;
  readonly greedyText: string;
}

const model = testData('models/stories260K.gguf');
const referencePath = testData('models/stories260K.reference.json');
const references: readonly Reference[] =
  referencePath === undefined ? [] : (JSON.parse(readFileSync(referencePath, 'utf8')) as Reference[]);

const start = async (options: Partial<CreateEngineOptions> = {}): Promise<Engine> => {
  const precision = { activations: 'f32', kvFormat: 'f32' } as const;
  const engine = await createEngine({ model: model!, numWorkerThreads: 1, ...precision, ...options });
  onTestFinished(() => engine.close());
  return engine;
};

const tell = async (engine: Engine, { prompt, maxTokens }: Reference): Promise<string> =>
  textOf(await ask(engine, { kind: 'text', text: prompt }, { maxTokens }));

const tellAll = (engine: Engine, crowd: readonly Reference[]): Promise<string[]> =>
  Promise.all(crowd.map((reference) => tell(engine, reference)));

describe.skipIf(model === undefined)('a trained model', () => {
  test('says greedily what the reference says, and among others what it says alone', async () => {
    const engine = await start();
    const alone = new Map<Reference, string>();
    for (const reference of references) {
      const { promptTokens } = await generate(engine, { kind: 'text', text: reference.prompt }, { maxTokens: 0 });
      expect(promptTokens).toBe(reference.promptTokenIds.length);
      alone.set(reference, await tell(engine, reference));
      // The reference's text ends some tokens before its limit.
      expect(alone.get(reference)?.slice(0, reference.greedyText.length)).toBe(reference.greedyText);
    }
    const crowd = Array.from({ length: 8 }, (_, index) => references[index % references.length]!);
    expect(await tellAll(engine, crowd)).toEqual(crowd.map((reference) => alone.get(reference)));

    // Twelve blocks, of which one of these answers takes up to eleven; prompts come in chunks of at most four tokens.
    const small = await start({ contextLength: 192, kvMemoryBytes: 1, maxBatchTokens: 4, maxRunning: 4 });
    expect(await tellAll(small, crowd.slice(0, 4))).toEqual(crowd.slice(0, 4).map((reference) => alone.get(reference)));
    expect(small.stats().preemptions).toBeGreaterThan(0);
    expect(small.stats().kvBlocksUsed).toBe(0);
  });

  test('ran on its reference', () => {
    console.log(`${references.length} reference texts`);
    expect(references.length).toBeGreaterThan(0);
  });
});
