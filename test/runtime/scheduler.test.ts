import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/runtime/sequence.ts';
import { answerOf, Bench, expectedAnswer } from '../support/scheduling.ts';

const tokens = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => from + index);

describe('scheduler', () => {
  test('computes a prompt in chunks and gives the answer of the whole', () => {
    for (const maxBatchTokens of [1, 3, 8, 64]) {
      const bench = new Bench({ maxBatchTokens, maxPrefillChunk: maxBatchTokens, maxRunning: 1 });
      const sequence = bench.submit(tokens(41), 9);
      bench.runToEnd();
      expect(answerOf(sequence)).toEqual(expectedAnswer(tokens(41), 9));
    }
  });

  test('gives running streams a token at every step while a long prompt is computed', () => {
    const bench = new Bench({ numBlocks: 1200, maxBatchTokens: 64, maxPrefillChunk: 40 });
    const streams = [bench.submit(tokens(3), 500), bench.submit(tokens(3, 50), 500)];
    bench.step();
    const long = bench.submit(tokens(4000, 100), 5);
    let steps = 0;
    while (long.numGenerated === 0) {
      const before = streams.map((stream) => stream.numGenerated);
      const plan = bench.step();
      steps++;
      expect(streams.map((stream) => stream.numGenerated)).toEqual(before.map((count) => count + 1));
      expect(plan.entries.find(({ sequence }) => sequence === long)?.numTokens).toBeLessThanOrEqual(40);
    }
    expect(steps).toBe(100);
  });

  test('admits in order of arrival, never more than may run', () => {
    const bench = new Bench({ maxRunning: 2 });
    const sequences = [1, 2, 3].map((index) => bench.submit(tokens(4, index * 10), 3));
    bench.step();
    expect(bench.scheduler.running).toEqual(sequences.slice(0, 2));
    bench.runToEnd();
    expect(sequences.map(answerOf)).toEqual([1, 2, 3].map((index) => expectedAnswer(tokens(4, index * 10), 3)));
  });

  test('does not let a later request that fits overtake an earlier one that does not', () => {
    const bench = new Bench({ numBlocks: 10 });
    bench.submit(tokens(20), 8);
    bench.step();
    const [large, small] = [bench.submit(tokens(24, 100), 2), bench.submit(tokens(2, 200), 2)];
    bench.step();
    expect(bench.scheduler.waiting).toEqual([large, small]);
  });

  test('puts sequences with one token first in the batch', () => {
    const bench = new Bench();
    bench.submit(tokens(6), 9);
    bench.submit(tokens(1, 90), 9);
    expect(bench.step().entries.map(({ numTokens }) => numTokens)).toEqual([1, 6]);
  });

  test('preempts the sequence admitted last, and all texts stay the same', () => {
    const bench = new Bench({ numBlocks: 8 });
    const prompts = [tokens(7), tokens(7, 50), tokens(7, 100)];
    const sequences = prompts.map((prompt) => bench.submit(prompt, 20));
    bench.step();
    expect(bench.scheduler.running).toEqual(sequences.slice(0, 3));
    while (bench.scheduler.numPreemptions === 0) bench.step();
    expect(bench.scheduler.waiting).toEqual([sequences[2]]);
    bench.runToEnd();
    expect(sequences.map(answerOf)).toEqual(prompts.map((prompt) => expectedAnswer(prompt, 20)));
    expect(bench.scheduler.pool.numUsed).toBe(0);
  });

  test('computes a shared prefix once, when one comes after the other', () => {
    const bench = new Bench();
    bench.submit([...tokens(16), 900], 1);
    bench.runToEnd();
    expect(bench.numFed).toBe(17);
    const second = bench.submit([...tokens(16), 901, 902], 1);
    bench.runToEnd();
    expect(bench.numFed).toBe(17 + 2);
    expect(second.cachedTokens).toBe(16);
    expect(answerOf(second)).toEqual(expectedAnswer([...tokens(16), 901, 902], 1));
  });

  test('computes a shared prefix once, when all come at the same time', () => {
    const bench = new Bench({ maxBatchTokens: 8, maxPrefillChunk: 8 });
    const prompts = tokens(5).map((index) => [...tokens(16), 900 + index]);
    const sequences = prompts.map((prompt) => bench.submit(prompt, 1));
    bench.runToEnd();
    expect(bench.numFed).toBe(16 + 5);
    expect(sequences.map(answerOf)).toEqual(prompts.map((prompt) => expectedAnswer(prompt, 1)));
  });

  test('goes on when the sequence that computes a shared prefix is aborted', () => {
    const bench = new Bench({ maxBatchTokens: 8, maxPrefillChunk: 8 });
    const first = bench.submit(tokens(40), 4);
    const second = bench.submit(tokens(40), 4);
    bench.step();
    expect(bench.scheduler.waiting).toEqual([second]);
    bench.scheduler.finish(first);
    bench.runToEnd();
    expect(second.cachedTokens).toBe(8);
    expect(answerOf(second)).toEqual(expectedAnswer(tokens(40), 4));
  });

  test('lets two conversations go on from the middle of one block, each in a copy of its own', () => {
    const bench = new Bench();
    const first = bench.submit(tokens(6), 5);
    bench.runToEnd();
    const prompts = [[...first.tokenIds, 77], [...first.tokenIds, 88, 89], first.tokenIds.slice(0, 10)];
    const followers = prompts.map((prompt) => bench.submit([...prompt], 9));
    bench.runToEnd();
    expect(followers.map(({ cachedTokens }) => cachedTokens)).toEqual([10, 10, 9]);
    for (const [i, follower] of followers.entries()) {
      expect(answerOf(follower)).toEqual(expectedAnswer([...prompts[i]!], 9));
    }
  });

  test('finds the answer of an earlier turn in the cache', () => {
    const bench = new Bench();
    const first = bench.submit(tokens(6), 10);
    bench.runToEnd();
    const followUp = bench.submit([...first.tokenIds, 77], 1);
    bench.runToEnd();
    expect(followUp.cachedTokens).toBe(15);
    expect(answerOf(followUp)).toEqual(expectedAnswer([...first.tokenIds, 77], 1));
  });

  test('computes only the last token of a prompt that is wholly cached', () => {
    const bench = new Bench();
    bench.submit(tokens(8), 1);
    bench.runToEnd();
    const again = bench.submit(tokens(8), 1);
    bench.runToEnd();
    expect([again.cachedTokens, ...answerOf(again)]).toEqual([7, ...expectedAnswer(tokens(8), 1)]);
  });

  test('frees the blocks of an aborted sequence at once: queued, in prefill and while generating', () => {
    const bench = new Bench({ maxBatchTokens: 8, maxPrefillChunk: 8, maxRunning: 2 });
    const [generating, prefilling] = [bench.submit(tokens(4), 50), bench.submit(tokens(40, 100), 50)];
    const queued = bench.submit(tokens(40, 200), 50);
    bench.step();
    bench.step();
    expect([generating.numGenerated, prefilling.numGenerated, queued.status]).toEqual([2, 0, 'waiting']);
    for (const sequence of [queued, prefilling, generating]) {
      bench.scheduler.finish(sequence);
      bench.checkBlocks();
    }
    expect(bench.scheduler.pool.numUsed).toBe(0);
    expect(bench.scheduler.hasWork).toBe(false);
  });

  test('refuses a sequence that can never fit the pool', () => {
    expect(() => new Bench({ numBlocks: 2 }).submit(tokens(5), 4)).toThrow(/never fit/);
  });

  test('leaks no block and changes no text in 10,000 random submissions, steps and aborts', () => {
    const operation = fc.record({
      kind: fc.constantFrom('submit', 'step', 'step', 'abort'),
      pick: fc.nat(1000),
      /** Prompts begin alike, so that many blocks are shared. */
      family: fc.nat(2),
      promptLength: fc.integer({ min: 1, max: 30 }),
      maxTokens: fc.integer({ min: 1, max: 18 }),
    });
    let numOperations = 0;
    let numFinished = 0;
    let numPreemptions = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 12, max: 20 }),
        fc.integer({ min: 4, max: 24 }),
        fc.array(operation, { minLength: 100, maxLength: 100 }),
        (numBlocks, maxBatchTokens, operations) => {
          const bench = new Bench({ numBlocks, maxBatchTokens, maxPrefillChunk: 5, maxRunning: 4 });
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
          bench.checkBlocks();
          expect(bench.scheduler.pool.numUsed).toBe(0);
          for (const { prompt, sequence } of submitted) {
            expect(answerOf(sequence)).toEqual(expectedAnswer(prompt, sequence.numGenerated));
            if (sequence.numGenerated === sequence.maxTokens) numFinished++;
          }
          numPreemptions += bench.scheduler.numPreemptions;
        },
      ),
      { numRuns: 100 },
    );
    expect(numOperations).toBeGreaterThanOrEqual(10_000);
    expect(numFinished).toBeGreaterThan(100);
    expect(numPreemptions).toBeGreaterThan(10);
  });
});
