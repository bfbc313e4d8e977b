/** Turns a plan into the flat arrays that a runner uploads. */
import type { Batch } from './model-runner.ts';
import type { Plan } from './scheduler.ts';

/** Row r of the step's logits belongs to the r-th entry that wants logits. */
export const buildBatch = ({ entries }: Plan, blockSize: number, numCandidates: number): Batch => {
  const numTokens = entries.reduce((sum, entry) => sum + entry.numTokens, 0);
  const tokenIds = new Uint32Array(numTokens);
  const positions = new Uint32Array(numTokens);
  const slots = new Uint32Array(numTokens);
  const queryStarts = new Uint32Array(entries.length + 1);
  const contextLengths = new Uint32Array(entries.length);
  const logitTokens: number[] = [];
  let row = 0;
  for (const [index, { sequence, numTokens: count, wantsLogits }] of entries.entries()) {
    const start = sequence.numComputed;
    tokenIds.set(sequence.tokenIds.subarray(start, start + count), row);
    for (let position = start; position < start + count; position++, row++) {
      positions[row] = position;
      slots[row] = sequence.blocks[Math.floor(position / blockSize)]! * blockSize + (position % blockSize);
    }
    queryStarts[index + 1] = row;
    contextLengths[index] = start + count;
    if (wantsLogits) logitTokens.push(row - 1);
  }
  return {
    numTokens,
    numSequences: entries.length,
    tokenIds,
    positions,
    slots,
    sequenceIds: entries.map(({ sequence }) => sequence.id),
    queryStarts,
    contextLengths,
    blockTables: entries.map(({ sequence }) => Uint32Array.from(sequence.blocks)),
    logitTokens: Uint32Array.from(logitTokens),
    numCandidates,
  };
};
