/** One sequence several times in one batch, at different paces: what continuous batching makes of prompts. */
import { PrivateBlocks } from '../../src/runtime/kv/private-blocks.ts';
import type { ModelRunner } from '../../src/runtime/model-runner.ts';
import type { Oracle } from './oracle.ts';

/** Prompt tokens that each sequence of the mixed batch is fed in its first step; the rest follow one to five at a time. */
const FIRST_CHUNKS = [1, 17, 5, 32];

/** Runs the oracle's sequence four times side by side, at different paces, in shuffled blocks. */
export const mixedBatchLogits = async (
  runner: ModelRunner,
  { ids, vocabularySize }: Oracle,
): Promise<Float32Array[]> => {
  const blocks = new PrivateBlocks(runner, ids.length, FIRST_CHUNKS.length);
  const results = FIRST_CHUNKS.map(() => new Float32Array(ids.length * vocabularySize));
  const done = FIRST_CHUNKS.map(() => 0);
  for (let step = 0; done.some((count) => count < ids.length); step++) {
    const work = done
      .map((start, sequence) => ({ sequence, start, count: step === 0 ? FIRST_CHUNKS[sequence]! : 1 + sequence }))
      .map((part) => ({ ...part, count: Math.min(part.count, ids.length - part.start) }))
      .filter((part) => part.count > 0)
      .sort((a, b) => Number(a.count > 1) - Number(b.count > 1));
    const queries = work.map((part) => ({ ...part, tokenIds: ids.slice(part.start, part.start + part.count) }));
    const rows = work.flatMap(({ sequence, start, count }) =>
      Array.from({ length: count }, (_, index) => ({ sequence, position: start + index })),
    );
    const logits = await (await runner.forward(blocks.batch(queries, 'all'))).readLogits(rows.map((_, row) => row));
    for (const [row, { sequence, position }] of rows.entries()) {
      const values = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      results[sequence]!.set(values, position * vocabularySize);
    }
    for (const { sequence, count } of work) done[sequence]! += count;
  }
  return results;
};
