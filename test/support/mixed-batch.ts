/** One sequence several times in one batch, at different paces: what continuous batching makes of prompts. */
import type { Batch, ModelRunner } from '../../src/runtime/model-runner.ts';
import type { Oracle } from './oracle.ts';

/** Prompt tokens that each sequence of the mixed batch is fed in its first step; the rest follow one to five at a time. */
const FIRST_CHUNKS = [1, 17, 5, 32];

/** Runs the oracle's sequence four times side by side, at different paces, in shuffled blocks. */
export const mixedBatchLogits = async (
  runner: ModelRunner,
  { ids, vocabularySize }: Oracle,
): Promise<Float32Array[]> => {
  const { blockSize } = runner.kv;
  const perSequence = Math.ceil(ids.length / blockSize);
  const tables = FIRST_CHUNKS.map((_, sequence) =>
    Uint32Array.from({ length: perSequence }, (_, block) => (perSequence - 1 - block) * FIRST_CHUNKS.length + sequence),
  );
  const results = FIRST_CHUNKS.map(() => new Float32Array(ids.length * vocabularySize));
  const done = FIRST_CHUNKS.map(() => 0);
  for (let step = 0; done.some((count) => count < ids.length); step++) {
    const work = done
      .map((start, sequence) => ({ sequence, start, count: step === 0 ? FIRST_CHUNKS[sequence]! : 1 + sequence }))
      .map((part) => ({ ...part, count: Math.min(part.count, ids.length - part.start) }))
      .filter((part) => part.count > 0)
      .sort((a, b) => Number(a.count > 1) - Number(b.count > 1));
    const { batch, rows } = mixedBatch(work, ids, tables, blockSize);
    const logits = await (await runner.forward(batch)).readLogits(rows.map((_, row) => row));
    for (const [row, { sequence, position }] of rows.entries()) {
      const values = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      results[sequence]!.set(values, position * vocabularySize);
    }
    for (const { sequence, count } of work) done[sequence]! += count;
  }
  return results;
};

const mixedBatch = (
  work: readonly { sequence: number; start: number; count: number }[],
  ids: readonly number[],
  tables: readonly Uint32Array[],
  blockSize: number,
): { batch: Batch; rows: { sequence: number; position: number }[] } => {
  const rows = work.flatMap(({ sequence, start, count }) =>
    Array.from({ length: count }, (_, index) => ({ sequence, position: start + index })),
  );
  const queryStarts = [0];
  for (const { count } of work) queryStarts.push(queryStarts.at(-1)! + count);
  const batch: Batch = {
    numTokens: rows.length,
    numSequences: work.length,
    tokenIds: Uint32Array.from(rows, ({ position }) => ids[position]!),
    positions: Uint32Array.from(rows, ({ position }) => position),
    slots: Uint32Array.from(rows, ({ sequence, position }) => {
      const block = tables[sequence]![Math.floor(position / blockSize)]!;
      return block * blockSize + (position % blockSize);
    }),
    sequenceIds: work.map(({ sequence }) => sequence),
    queryStarts: Uint32Array.from(queryStarts),
    contextLengths: Uint32Array.from(work, ({ start, count }) => start + count),
    blockTables: work.map(({ sequence }) => tables[sequence]!),
    logitTokens: Uint32Array.from(rows, (_, row) => row),
    numCandidates: 0,
  };
  return { batch, rows };
};
