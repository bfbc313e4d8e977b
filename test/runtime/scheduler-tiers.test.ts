import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocksPerSequence } from '../../src/runtime/kv/layer-groups.ts';
import type { KvGroup } from '../../src/runtime/model-runner.ts';
import type { Sequence } from '../../src/runtime/sequence.ts';
import { answerOf, Bench, expectedAnswer, LowerStore } from '../support/scheduling.ts';

const tokens = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => from + index);

describe('a tier below the pool', () => {
  test('gives back what the pool evicted, to the last token', () => {
    const bench = new Bench({ numBlocks: 16, lower: new LowerStore() });
    const first = bench.submit(tokens(21), 9);
    bench.runToEnd();
    bench.submit(tokens(40, 500), 24);
    bench.runToEnd();
    bench.numFed = 0;
    const prompt = [...first.tokenIds, 77];
    const again = bench.submit(prompt, 5);
    bench.runToEnd();
    expect(again.report).toEqual({ found: { pool: 0, ram: 29, disk: 0 }, computed: 2, reason: 'new' });
    expect(bench.numFed).toBe(2 + 4);
    expect(answerOf(again)).toEqual(expectedAnswer(prompt, 5));
  });

  test('gives back what an earlier process computed', () => {
    const lower = new LowerStore();
    const before = new Bench({ lower });
    before.submit(tokens(33), 4);
    before.runToEnd();
    const after = new Bench({ lower });
    const again = after.submit(tokens(33), 4);
    after.runToEnd();
    expect(again.cachedTokens).toBe(32);
    expect(answerOf(again)).toEqual(expectedAnswer(tokens(33), 4));
  });

  test('lets other sequences run on while one waits for its blocks', () => {
    const lower = new LowerStore();
    const before = new Bench({ lower });
    before.submit(tokens(33), 1);
    before.runToEnd();
    const bench = new Bench({ lower });
    const stream = bench.submit(tokens(5, 700), 30);
    bench.step();
    const waiting = bench.submit(tokens(33), 3);
    const behind = bench.submit(tokens(5, 800), 2);
    for (let count = 0; count < 10; count++) bench.step();
    expect([stream.numGenerated, waiting.numGenerated, behind.numGenerated]).toEqual([11, 0, 2]);
    bench.endRestore();
    bench.step();
    expect([stream.numGenerated, waiting.numGenerated]).toEqual([12, 1]);
  });

  test('is read once for several that need the same blocks', () => {
    const lower = new LowerStore();
    const before = new Bench({ lower });
    before.submit(tokens(33), 1);
    before.runToEnd();
    const bench = new Bench({ lower });
    const sequences = tokens(4).map((index) => bench.submit([...tokens(32), 900 + index], 2));
    bench.runToEnd();
    expect(bench.numRestored).toBe(8);
    for (const [index, sequence] of sequences.entries()) {
      expect(answerOf(sequence)).toEqual(expectedAnswer([...tokens(32), 900 + index], 2));
    }
  });

  test('that has lost a block meanwhile makes the sequence compute from there', () => {
    const lower = new LowerStore();
    const before = new Bench({ lower });
    before.submit(tokens(33), 1);
    before.runToEnd();
    const bench = new Bench({ lower });
    const sequence = bench.submit(tokens(33), 3);
    bench.step();
    lower.payloads.delete(sequence.key(5, 4));
    bench.runToEnd();
    expect(sequence.cachedTokens).toBe(20);
    expect(answerOf(sequence)).toEqual(expectedAnswer(tokens(33), 3));
  });

  test('is not waited for by who has left', () => {
    const lower = new LowerStore();
    const before = new Bench({ lower });
    before.submit(tokens(33), 1);
    before.runToEnd();
    const bench = new Bench({ lower });
    const sequence = bench.submit(tokens(33), 3);
    bench.step();
    bench.scheduler.finish(sequence);
    bench.endRestore();
    bench.checkBlocks();
    expect([bench.scheduler.pool.numUsed, bench.numRestored]).toEqual([0, 0]);
  });

  test('says that a block was evicted where it has no copy', () => {
    const bench = new Bench({ numBlocks: 16 });
    bench.submit(tokens(33), 1);
    bench.runToEnd();
    bench.submit(tokens(60, 500), 1);
    bench.runToEnd();
    const again = bench.submit(tokens(33), 1);
    const other = bench.submit(tokens(9, 900), 1);
    bench.runToEnd();
    expect([again.report?.reason, other.report?.reason]).toEqual(['evicted', 'new']);
  });

  test('changes no text and leaks no block in random submissions, steps, restores, losses and aborts', () => {
    const group: fc.Arbitrary<KvGroup> = fc.oneof(
      fc.constant({}),
      fc.record({ window: fc.integer({ min: 1, max: 20 }) }),
    );
    const operation = fc.record({
      kind: fc.constantFrom('submit', 'submit', 'step', 'step', 'step', 'restore', 'restore', 'abort', 'lose'),
      pick: fc.nat(20),
      family: fc.nat(1),
      promptLength: fc.integer({ min: 1, max: 30 }),
      maxTokens: fc.integer({ min: 1, max: 18 }),
    });
    let [numFinished, numPreemptions, numRestored, numCopied] = [0, 0, 0, 0];
    fc.assert(
      fc.property(
        fc.array(group, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 4, max: 24 }),
        fc.array(operation, { minLength: 120, maxLength: 120 }),
        (groups, numSpare, maxBatchTokens, operations) => {
          const numBlocks = blocksPerSequence({ groups, blockSize: 4 }, 48, maxBatchTokens) + numSpare;
          const lower = new LowerStore();
          const bench = new Bench({ groups, numBlocks, maxBatchTokens, maxPrefillChunk: 5, maxRunning: 4, lower });
          const open: Sequence[] = [];
          const submitted: { prompt: number[]; sequence: Sequence }[] = [];
          for (const { kind, pick, family, promptLength, maxTokens } of operations) {
            if (kind === 'submit') {
              // Now and then a conversation goes on where an earlier one ended.
              const earlier = submitted[pick]?.sequence;
              const begin =
                earlier && earlier.numTokens < 28 ? [...earlier.tokenIds] : tokens(promptLength, family * 100);
              const prompt = [...begin.slice(0, 29), pick];
              const sequence = bench.submit(prompt, maxTokens);
              open.push(sequence);
              submitted.push({ prompt, sequence });
            } else if (kind === 'abort' && open.length > 0) {
              bench.scheduler.finish(open.splice(pick % open.length, 1)[0]!);
            } else if (kind === 'restore') bench.endRestore();
            else if (kind === 'lose') {
              for (const [i, key] of [...lower.payloads.keys()].entries())
                if (i % 21 <= pick) lower.payloads.delete(key);
            } else if (bench.scheduler.hasWork) numCopied += bench.step().copies.length;
            bench.checkBlocks();
          }
          bench.runToEnd();
          expect(bench.scheduler.pool.numUsed).toBe(0);
          for (const { prompt, sequence } of submitted) {
            expect(answerOf(sequence)).toEqual(expectedAnswer(prompt, sequence.numGenerated));
            if (sequence.numGenerated === sequence.maxTokens) numFinished++;
          }
          numPreemptions += bench.scheduler.numPreemptions;
          numRestored += bench.numRestored;
        },
      ),
      { numRuns: 120, endOnFailure: true },
    );
    expect(Math.min(numFinished, numPreemptions, numRestored, numCopied)).toBeGreaterThan(50);
  });
});
