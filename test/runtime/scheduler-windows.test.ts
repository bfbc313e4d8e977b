import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocksBeforeHit, blocksPerSequence, firstLiveBlock, maxBlocks } from '../../src/runtime/kv/layer-groups.ts';
import type { KvGroup } from '../../src/runtime/model-runner.ts';
import type { Sequence } from '../../src/runtime/sequence.ts';
import { answerOf, Bench, type BenchOptions, expectedAnswer } from '../support/scheduling.ts';

const tokens = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => from + index);

/** Blocks that a sequence holds, a group. */
const heldBy = ({ tables }: Sequence): number[] => tables.map(({ blocks }) => blocks.length);

describe('layers with an attention window', () => {
  test('keep only the blocks that their window needs', () => {
    const groups = [{}, { window: 10 }, { window: 3 }];
    const bench = new Bench({ groups, numBlocks: 400, maxBatchTokens: 16, maxPrefillChunk: 16 });
    const sequence = bench.submit(tokens(60), 400);
    while (bench.scheduler.hasWork) {
      bench.step();
      bench.checkBlocks();
      const most = groups.map((group) => maxBlocks(group, sequence.numTokens, 16, 4));
      for (const [group, held] of heldBy(sequence).entries()) expect(held).toBeLessThanOrEqual(most[group]!);
      if (sequence.numGenerated > 2 && sequence.status === 'running') {
        expect(heldBy(sequence)[1]).toBeLessThanOrEqual(4);
        expect(heldBy(sequence)[2]).toBeLessThanOrEqual(2);
      }
    }
    expect(answerOf(sequence)).toEqual(expectedAnswer(tokens(60), 400));
  });

  test('let a sequence run whose context no pool of whole tables could hold', () => {
    const bench = new Bench({ groups: [{ window: 8 }], numBlocks: 10, maxBatchTokens: 16, maxPrefillChunk: 16 });
    const sequence = bench.submit(tokens(300), 100);
    bench.runToEnd();
    expect(answerOf(sequence)).toEqual(expectedAnswer(tokens(300), 100));
  });

  test.each([
    { window: 1, needed: 0 },
    { window: 2, needed: 1 },
    { window: 8, needed: 2 },
    { window: 9, needed: 2 },
    { window: 10, needed: 3 },
    { window: 1000, needed: 250 },
  ])(
    'take over a prefix when the last $needed blocks of it are there, with a window of $window',
    ({ window, needed }) => {
      expect(blocksBeforeHit({ window }, 4)).toBe(needed);
      const bench = new Bench({ groups: [{}, { window }], numBlocks: 64 });
      bench.submit([...tokens(32), 800], 1);
      bench.runToEnd();
      const again = bench.submit([...tokens(32), 900], 3);
      bench.runToEnd();
      expect(again.cachedTokens).toBe(32);
      expect(answerOf(again)).toEqual(expectedAnswer([...tokens(32), 900], 3));
    },
  );

  test('do not take over a prefix whose window is gone, though layers without a window still have it', () => {
    for (let numOthers = 0; numOthers < 30; numOthers++) {
      const bench = new Bench({ groups: [{}, { window: 6 }], numBlocks: 40, maxRunning: 1 });
      bench.submit(tokens(33), 1);
      bench.runToEnd();
      // Each of these pushes the oldest cached blocks out, the ones that left the window before all others.
      for (let other = 0; other < numOthers; other++) bench.submit(tokens(5, 1000 * (other + 1)), 1);
      bench.runToEnd();
      const again = bench.submit([...tokens(33), 900], 5);
      bench.runToEnd();
      expect(answerOf(again)).toEqual(expectedAnswer([...tokens(33), 900], 5));
    }
  });

  test('find a shared prompt that its first user has left far behind', () => {
    const bench = new Bench({ groups: [{}, { window: 6 }], numBlocks: 200 });
    const first = bench.submit(tokens(16), 100);
    while (first.numGenerated < 60) bench.step();
    const second = bench.submit([...tokens(16), 900], 2);
    bench.runToEnd();
    expect(second.cachedTokens).toBe(16);
    expect(answerOf(second)).toEqual(expectedAnswer([...tokens(16), 900], 2));
  });

  test('take over the end of a chain whose beginning is gone, where every layer has a window', () => {
    const bench = new Bench({ groups: [{ window: 6 }], numBlocks: 12, maxBatchTokens: 8, maxPrefillChunk: 8 });
    bench.submit(tokens(80), 1);
    bench.runToEnd();
    const again = bench.submit([...tokens(80), 900], 1);
    bench.runToEnd();
    expect(again.cachedTokens).toBe(80);
    expect(answerOf(again)).toEqual(expectedAnswer([...tokens(80), 900], 1));
  });

  test.each([4, 8, 32])('compute a prefix that five share once, in chunks of %i', (chunk) => {
    const options: BenchOptions = {
      groups: [{}, { window: 9 }],
      maxBatchTokens: chunk,
      maxPrefillChunk: chunk,
      maxRunning: 4,
    };
    const bench = new Bench({ ...options, numBlocks: 300 });
    const prompts = tokens(5).map((index) => [...tokens(40), 900 + index]);
    const sequences = prompts.map((prompt) => bench.submit(prompt, 1));
    bench.runToEnd();
    expect(bench.numFed).toBe(40 + 5);
    expect(sequences.map(answerOf)).toEqual(prompts.map((prompt) => expectedAnswer(prompt, 1)));
  });

  test('go on when the sequence that computes a shared prefix is aborted', () => {
    const bench = new Bench({ groups: [{ window: 5 }], maxBatchTokens: 8, maxPrefillChunk: 8 });
    const first = bench.submit(tokens(40), 4);
    const second = bench.submit(tokens(40), 4);
    bench.step();
    expect(bench.scheduler.waiting).toEqual([second]);
    bench.scheduler.finish(first);
    bench.runToEnd();
    expect(second.cachedTokens).toBe(8);
    expect(answerOf(second)).toEqual(expectedAnswer(tokens(40), 4));
  });

  test('leak no block and change no text in random submissions, steps and aborts, whatever the groups', () => {
    const group: fc.Arbitrary<KvGroup> = fc.oneof(
      fc.constant({}),
      fc.record({ window: fc.integer({ min: 1, max: 20 }) }),
    );
    const operation = fc.record({
      kind: fc.constantFrom('submit', 'step', 'step', 'abort'),
      pick: fc.nat(1000),
      family: fc.nat(2),
      promptLength: fc.integer({ min: 1, max: 30 }),
      maxTokens: fc.integer({ min: 1, max: 18 }),
    });
    let [numOperations, numFinished, numPreemptions, numCached] = [0, 0, 0, 0];
    fc.assert(
      fc.property(
        fc.array(group, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 4, max: 24 }),
        fc.array(operation, { minLength: 100, maxLength: 100 }),
        (groups, numSpare, maxBatchTokens, operations) => {
          const numBlocks = blocksPerSequence({ groups, blockSize: 4 }, 48, maxBatchTokens) + numSpare;
          const bench = new Bench({ groups, numBlocks, maxBatchTokens, maxPrefillChunk: 5, maxRunning: 4 });
          const open: Sequence[] = [];
          const submitted: { prompt: number[]; sequence: Sequence }[] = [];
          for (const { kind, pick, family, promptLength, maxTokens } of operations) {
            numOperations++;
            if (kind === 'submit') {
              const prompt = [...tokens(promptLength, family * 100).slice(0, -1), pick];
              const sequence = bench.submit(prompt, maxTokens);
              open.push(sequence);
              submitted.push({ prompt, sequence });
            } else if (kind === 'abort' && open.length > 0) {
              bench.scheduler.finish(open.splice(pick % open.length, 1)[0]!);
            } else if (bench.scheduler.hasWork) bench.step();
            bench.checkBlocks();
          }
          bench.runToEnd();
          expect(bench.scheduler.pool.numUsed).toBe(0);
          for (const { prompt, sequence } of submitted) {
            expect(answerOf(sequence)).toEqual(expectedAnswer(prompt, sequence.numGenerated));
            if (sequence.numGenerated === sequence.maxTokens) numFinished++;
            numCached += sequence.cachedTokens ?? 0;
          }
          numPreemptions += bench.scheduler.numPreemptions;
        },
      ),
      { numRuns: 150, endOnFailure: true },
    );
    expect(numOperations).toBeGreaterThanOrEqual(10_000);
    expect(Math.min(numFinished, numPreemptions, numCached)).toBeGreaterThan(10);
  });
});

describe('the counts of blocks', () => {
  test('agree with loops over positions', () => {
    for (const blockSize of [1, 4, 5]) {
      for (let window = 1; window <= 14; window++) {
        for (let start = 0; start <= 30; start++) {
          const seen = Array.from({ length: start + 1 }, (_, key) => key).filter((key) => key > start - window);
          const blocks = new Set(seen.map((key) => Math.floor(key / blockSize)));
          expect(firstLiveBlock({ window }, start, blockSize)).toBe(Math.min(...blocks));
          if (start % blockSize !== 0) continue;
          const before = [...blocks].filter((block) => block < start / blockSize).length;
          expect(Math.min(start / blockSize, blocksBeforeHit({ window }, blockSize))).toBe(before);
        }
        for (let chunk = 1; chunk <= 9; chunk++) {
          let most = 0;
          for (let start = 0; start + chunk <= 40; start++) {
            const firstKey = Math.max(0, start + 1 - window);
            const end = Math.floor((start + chunk - 1) / blockSize) + 1;
            most = Math.max(most, end - Math.floor(firstKey / blockSize));
          }
          expect(maxBlocks({ window }, 40, chunk, blockSize)).toBeGreaterThanOrEqual(most);
          expect(maxBlocks({ window }, 40, chunk, blockSize)).toBeLessThanOrEqual(most + 1);
        }
      }
    }
  });
});
