/** Turns a plan into the flat arrays that a runner uploads. */
import type { Batch, GroupBatch, KvGeometry } from './model-runner.ts';
import { pooledRows } from './models/pooling.ts';
import type { Plan, PlanEntry } from './scheduler.ts';

/** Rows of logits are in the order of the entries, each with those of its last `numRows` tokens: see `withRows`. */
export const buildBatch = (
  { entries, copies }: Plan,
  { blockSize, groups }: Pick<KvGeometry, 'blockSize' | 'groups'>,
  numCandidates: number,
): Batch => {
  const numTokens = entries.reduce((sum, entry) => sum + entry.numTokens, 0);
  const tokenIds = new Uint32Array(numTokens);
  const positions = new Uint32Array(numTokens);
  const queryStarts = new Uint32Array(entries.length + 1);
  const contextLengths = new Uint32Array(entries.length);
  const logitTokens: number[] = [];
  const segments: number[] = [];
  let row = 0;
  for (const [index, entry] of entries.entries()) {
    const { sequence, numTokens: count, numRows } = entry;
    const start = sequence.numComputed;
    const part = pooledPart(entry);
    if (part) segments.push(row + part[0], part[1]);
    tokenIds.set(sequence.tokenIds.subarray(start, start + count), row);
    for (let position = start; position < start + count; position++, row++) positions[row] = position;
    queryStarts[index + 1] = row;
    contextLengths[index] = start + count;
    for (let last = numRows; last > 0; last--) logitTokens.push(row - last);
  }
  return {
    numTokens,
    numSequences: entries.length,
    tokenIds,
    positions,
    sequenceIds: entries.map(({ sequence }) => sequence.id),
    queryStarts,
    contextLengths,
    groups: groups.map((_, group) => groupBatch(entries, group, blockSize, numTokens)),
    copies,
    logitTokens: Uint32Array.from(logitTokens),
    ...(segments.length > 0 ? { segments: Uint32Array.from(segments) } : {}),
    numCandidates,
  };
};

/** Each entry with the first of the step's rows of logits that are its own. */
export const withRows = (
  entries: readonly PlanEntry[],
): readonly { readonly entry: PlanEntry; readonly firstRow: number }[] => {
  let firstRow = 0;
  return entries.map((entry) => {
    const own = { entry, firstRow };
    firstRow += entry.numRows;
    return own;
  });
};

/** Which of an entry's tokens its sequence's embedding is made of: the first of them and how many; undefined: none. */
export const pooledPart = ({ sequence, numTokens }: PlanEntry): readonly [first: number, count: number] | undefined => {
  if (sequence.pooling === undefined) return undefined;
  const [first, count] = pooledRows(sequence.pooling, sequence.numTokens);
  const start = Math.max(first - sequence.numComputed, 0);
  const end = Math.min(first + count - sequence.numComputed, numTokens);
  return start < end ? [start, end - start] : undefined;
};

const groupBatch = (entries: readonly PlanEntry[], group: number, blockSize: number, numTokens: number): GroupBatch => {
  const slots = new Uint32Array(numTokens);
  const tables = entries.map(({ sequence }) => sequence.tables[group]!);
  let row = 0;
  for (const [index, { sequence, numTokens: count }] of entries.entries()) {
    const { blocks, firstBlock } = tables[index]!;
    const end = sequence.numComputed + count;
    for (let position = sequence.numComputed; position < end; position++, row++) {
      slots[row] = blocks[Math.floor(position / blockSize) - firstBlock]! * blockSize + (position % blockSize);
    }
  }
  return {
    slots,
    blockTables: tables.map(({ blocks }) => Uint32Array.from(blocks)),
    firstBlocks: Uint32Array.from(tables, ({ firstBlock }) => firstBlock),
  };
};
