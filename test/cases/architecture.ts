/** What every architecture must keep: exact logits, however the tokens are cut into steps and whoever shares the batch. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoadOptions } from '../../src/runtime/create-engine-options.ts';
import { type LoadedModel, loadModel } from '../../src/runtime/load-model.ts';
import { sequenceLogits } from '../../src/runtime/logits.ts';
import { mixedBatchLogits } from '../support/mixed-batch.ts';
import { argmaxOf, nmse, type Oracle } from '../support/oracle.ts';

export interface ArchitectureCase {
  readonly modelPath: string;
  readonly oracle: Oracle;
  readonly options: LoadOptions;
  /** Bound on NMSE over all positions. */
  readonly maxNmse: number;
  /** Best tokens must agree at every position. */
  readonly exactTop1: boolean;
}

const expectClose = (actual: Float32Array, { oracle, maxNmse, exactTop1 }: ArchitectureCase): void => {
  expect(nmse(actual, oracle.logits)).toBeLessThan(maxNmse);
  if (!exactTop1) return;
  const { ids, vocabularySize } = oracle;
  const row = (logits: Float32Array, n: number) => logits.subarray(n * vocabularySize, (n + 1) * vocabularySize);
  for (const n of ids.keys()) expect(argmaxOf(row(actual, n))).toBe(argmaxOf(row(oracle.logits, n)));
};

/** Registers the tests of one model file. */
export const testArchitecture = (readCase: () => ArchitectureCase): void => {
  let model: LoadedModel;
  let subject: ArchitectureCase;
  beforeAll(async () => {
    subject = readCase();
    model = await loadModel(subject.modelPath, {
      checks: 'full',
      maxRows: 256,
      contextLength: 256,
      ...subject.options,
    });
  });
  afterAll(() => model?.runner.close());

  const run = async (chunk: number) => {
    const { ids, vocabularySize } = subject.oracle;
    return (await sequenceLogits(model.runner, ids, chunk, vocabularySize)).logits;
  };

  test('gives the reference logits when the prompt is prefilled whole', async () => {
    expectClose(await run(subject.oracle.ids.length), subject);
  });
  test('gives the reference logits in chunks of 7', async () => expectClose(await run(7), subject));
  test('gives the reference logits token by token', async () => expectClose(await run(1), subject));
  test('gives each sequence of a mixed batch the reference logits', async () => {
    for (const logits of await mixedBatchLogits(model.runner, subject.oracle)) expectClose(logits, subject);
  });
};
