import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeSymbols } from '../../../src/workers/tokenizer/merge.ts';
import { MergeTable } from '../../../src/workers/tokenizer/merge-table.ts';

type Merge = readonly [left: number, right: number, rank: number, merged: number];

/** The definition: again and again, of all pairs that merge, the leftmost of lowest rank. */
const mergeOneByOne = (symbols: readonly number[], merges: readonly Merge[]): number[] => {
  const ranks = new Map<string, Merge>();
  for (const merge of merges) if (!ranks.has(`${merge[0]},${merge[1]}`)) ranks.set(`${merge[0]},${merge[1]}`, merge);
  const left = [...symbols];
  for (;;) {
    let best = -1;
    let bestMerge: Merge | undefined;
    for (let at = 0; at + 1 < left.length; at++) {
      const merge = ranks.get(`${left[at]},${left[at + 1]}`);
      if (merge && (!bestMerge || merge[2] < bestMerge[2])) [best, bestMerge] = [at, merge];
    }
    if (!bestMerge) return left;
    left.splice(best, 2, bestMerge[3]);
  }
};

const merged = (symbols: readonly number[], merges: readonly Merge[]): number[] => {
  const table = new MergeTable(merges.length);
  for (const merge of merges) table.add(...merge);
  const sequence = Int32Array.from(symbols);
  return [...sequence.subarray(0, mergeSymbols(sequence, table))];
};

/** Merges of three letters, and of what they make, in any order; several may share a rank. */
const merges = fc
  .array(fc.tuple(fc.nat(20), fc.nat(20), fc.nat(8)), { minLength: 1, maxLength: 18 })
  .map((pairs): Merge[] => pairs.map(([left, right, rank], index) => [left, right, rank, 3 + index]));

test.each([40, 300, 3000])('merges up to %d symbols as one by one does', (maxLength) => {
  const symbols = fc.array(fc.nat(2), { minLength: Math.floor(maxLength / 2), maxLength, size: 'max' });
  fc.assert(
    fc.property(merges, symbols, (list, sequence) => {
      expect(merged(sequence, list)).toEqual(mergeOneByOne(sequence, list));
    }),
    { numRuns: maxLength > 1000 ? 25 : 200 },
  );
});

test('merges a long run of one letter from the left', () => {
  const doubling: Merge[] = Array.from({ length: 5 }, (_, power) => [power, power, power, power + 1]);
  for (const length of [2047, 2048, 2049, 5001]) {
    const sequence = new Array<number>(length).fill(0);
    expect(merged(sequence, doubling)).toEqual(mergeOneByOne(sequence, doubling));
  }
});
