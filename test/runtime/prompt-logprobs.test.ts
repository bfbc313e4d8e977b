/** How probable a model finds its own prompt: against float64 of the logits, however the prompt is computed. */
import { describe, expect, test } from 'vitest';
import type { GenerationEvent, PromptLogprobs } from '../../src/runtime/api.ts';
import type { Batch, StepLogits } from '../../src/runtime/model-runner.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { collect, generate } from '../support/engine.ts';
import { startNoise } from '../support/noise-engine.ts';
import { RandomRunner } from '../support/random-runner.ts';
import { seededRandom } from '../support/random-weights.ts';

const NUM_TOP = 3;

/** Keeps to the contract's limit of rows, and may have little room. */
class StrictRunner extends RandomRunner {
  override readonly kv;
  mostRows = 0;

  constructor(vocabularySize: number, numBlocks = 1024) {
    super(vocabularySize);
    this.kv = { blockSize: 16, numBlocks, blockBytes: 64, groups: [{}] };
  }

  override forward(batch: Batch): Promise<StepLogits> {
    expect(batch.logitTokens.length).toBeLessThanOrEqual(this.limits.maxRows);
    this.mostRows = Math.max(this.mostRows, batch.logitTokens.length);
    return super.forward(batch);
  }
}

const start = (numBlocks?: number) => {
  let strict: StrictRunner | undefined;
  const noise = startNoise({
    endTokenIds: [],
    runner: (vocabularySize) => {
      strict = new StrictRunner(vocabularySize, numBlocks);
      return strict;
    },
  });
  return { ...noise, runner: strict! };
};

const randomIds = (length: number, seed = 1): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length }, () => Math.floor(random() * 250));
};

const tokens = (tokenIds: readonly number[]) => ({ kind: 'tokens', tokenIds }) as const;
const scored = { promptTopLogprobs: NUM_TOP, maxTokens: 1 };
const startOf = ([first]: readonly GenerationEvent[]) => {
  if (first?.type !== 'start') throw new Error('no start');
  return first;
};
/** Told once, and before anything that was generated. */
const toldIn = ([, second, ...others]: readonly GenerationEvent[]): PromptLogprobs | undefined => {
  expect(others.filter(({ type }) => type === 'prompt_logprobs')).toEqual([]);
  return second?.type === 'prompt_logprobs' ? second.logprobs : undefined;
};
const free = { ...DEFAULT_SAMPLING, temperature: 1, seed: 1 };

/** Every number again, from the runner's own logits in float64. */
const expectExact = (runner: RandomRunner, ids: readonly number[], found: PromptLogprobs | undefined): void => {
  expect([...found!.tokenIds]).toEqual(ids);
  expect(found!.logprobs[0]).toBeNaN();
  for (let index = 1; index < ids.length; index++) {
    const row = [...runner.logits(ids[index - 1]!, index - 1)];
    const logMass = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expect(found!.logprobs[index]).toBeCloseTo(row[ids[index]!]! - logMass, 5);
    const best = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, NUM_TOP);
    const first = index * NUM_TOP;
    expect([...found!.topIds.subarray(first, first + NUM_TOP)]).toEqual(best);
    for (const [rank, id] of best.entries())
      expect(found!.topLogprobs[first + rank]).toBeCloseTo(row[id]! - logMass, 5);
  }
};

describe('every token after the first is as probable as the logits before it say', () => {
  test.each([1, 2, 15, 16, 17, 31, 32, 33, 200])('in a prompt of %d tokens', async (length) => {
    const { runner, ask } = start();
    const ids = randomIds(length);
    const events = await ask(tokens(ids), scored);
    expectExact(runner, ids, toldIn(events));
    expect(runner.mostRows).toBe(Math.min(length, runner.limits.maxRows));
    expect(events.at(-1)).toMatchObject({ type: 'finish', usage: { promptTokens: length, completionTokens: 1 } });
  });

  test('with nothing generated after it', async () => {
    const { runner, ask } = start();
    const ids = randomIds(50);
    const events = await ask(tokens(ids), { ...scored, maxTokens: 0 });
    expectExact(runner, ids, toldIn(events));
    expect(events.map(({ type }) => type)).toEqual(['start', 'prompt_logprobs', 'finish']);
  });

  test('beside streams and other prompts, which get what they would get alone', async () => {
    const { engine, runner, ask } = start();
    const request = { maxTokens: 120, sampling: free };
    const alone = await ask(tokens(randomIds(40, 9)), request);
    const others = Array.from({ length: 20 }, async () =>
      collect(await generate(engine, tokens(randomIds(40, 9)), request)),
    );
    const prompts = [randomIds(150, 2), randomIds(90, 3), randomIds(200, 4)];
    const answers = await Promise.all(prompts.map((ids) => ask(tokens(ids), scored)));
    for (const [index, ids] of prompts.entries()) expectExact(runner, ids, toldIn(answers[index]!));
    const texts = (events: readonly GenerationEvent[]) => events.filter(({ type }) => type === 'text');
    for (const other of others) {
      expect(
        texts(await other)
          .map((event) => Reflect.get(event, 'text'))
          .join(''),
      ).toBe(
        texts(alone)
          .map((event) => Reflect.get(event, 'text'))
          .join(''),
      );
    }
  });

  test('in a pool that is too small for all', async () => {
    const { engine, runner, ask } = start(30);
    const request = { maxTokens: 200, sampling: free };
    const others = [1, 2, 3].map((seed) => ask(tokens(randomIds(20, seed)), request));
    const ids = randomIds(180, 5);
    expectExact(runner, ids, toldIn(await ask(tokens(ids), { ...scored, maxTokens: 100 })));
    await Promise.all(others);
    expect(engine.stats().preemptions).toBeGreaterThan(0);
  });
});

test('a prompt is computed whole, whatever is cached, and leaves nothing in the cache', async () => {
  const { runner, ask } = start();
  const [cached, fresh] = [randomIds(100, 1), randomIds(100, 2)];
  await ask(tokens(cached), { maxTokens: 1 });
  for (const ids of [cached, fresh]) {
    const events = await ask(tokens(ids), scored);
    expect(startOf(events).cachedTokens).toBe(0);
    expectExact(runner, ids, toldIn(events));
  }
  expect(startOf(await ask(tokens(cached), { maxTokens: 1 })).cachedTokens).toBeGreaterThan(90);
  expect(startOf(await ask(tokens(fresh), { maxTokens: 1 })).cachedTokens).toBe(0);
});

test('who leaves while a prompt is computed holds nobody up', async () => {
  const { engine, ask } = start();
  const leaving = new AbortController();
  const generation = await generate(engine, tokens(randomIds(2000)), scored, leaving.signal);
  leaving.abort();
  await expect(collect(generation)).rejects.toMatchObject({ code: 'aborted' });
  expect(toldIn(await ask(tokens(randomIds(40)), scored))).toBeDefined();
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, kvBlocksUsed: 0 });
});

test('nothing is told that was not asked for, and not more than a step reports', async () => {
  const { ask } = start();
  expect(toldIn(await ask(tokens([1, 2, 3]), { maxTokens: 1 }))).toBeUndefined();
  await expect(ask(tokens([1, 2, 3]), { promptTopLogprobs: 9 })).rejects.toMatchObject({ code: 'invalid_request' });
});
