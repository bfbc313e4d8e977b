/** Checks of paged attention: random sequences in a cache whose blocks are dealt out shuffled. */
import { bindAttentionDecode } from '../attention-decode.ts';
import { bindAttentionPrefill, PREFILL_TILE_ROWS } from '../attention-prefill.ts';
import type { GpuDevice } from '../device.ts';
import type { KvFormat } from '../kv-format.ts';
import { type AttentionVariant, pickAttentionVariant } from '../paged-attention.ts';
import { attend } from '../reference.ts';
import { HostKvCache } from './host-kv-cache.ts';
import { CheckTensors, errorOf, type FloatType, type KernelCheck, maxErrorOf } from './kernel-check.ts';

export interface PagedShape {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly blockSize: number;
  readonly activations: FloatType;
  readonly kvFormat: KvFormat;
  /** Keys in the cache, and how many of the last ones are queries of this batch. */
  readonly sequences: readonly { readonly numKeys: number; readonly numQueries: number }[];
  readonly variant?: AttentionVariant;
  readonly window?: number;
  readonly softCap?: number;
  readonly hasSinks?: boolean;
  /** Room for so many keys a sequence; absent: as many as the longest has. */
  readonly maxContext?: number;
}

/** Rows keep 8 columns before the queries. */
const Q_COLUMN = 8;

interface PagedBatch {
  readonly tensors: CheckTensors;
  readonly q: Float64Array;
  readonly kCache: HostKvCache;
  readonly vCache: HostKvCache;
  readonly numRows: number;
  readonly contextLengths: number[];
  readonly blockTableStarts: number[];
  readonly blockTables: number[];
  readonly positions: number[];
  /** [numHeads] */
  readonly sinks: Float64Array | undefined;
  /** [numRows, numHeads * headDim] */
  readonly expected: Float64Array;
}

const makeBatch = (device: GpuDevice, shape: PagedShape): PagedBatch => {
  const { numHeads, numKvHeads, headDim, blockSize, sequences, activations, kvFormat } = shape;
  const tensors = new CheckTensors(device);
  const blockCounts = sequences.map(({ numKeys }) => Math.ceil(numKeys / blockSize));
  const numBlocks = blockCounts.reduce((sum, count) => sum + count, 1);
  const numRows = sequences.reduce((sum, { numQueries }) => sum + numQueries, 0);
  const deck = Array.from({ length: numBlocks }, (_, block) => ({ block, order: tensors.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ block }) => block);
  // What no sequence wrote is NaN: whoever lets it into a sum is found out.
  const cacheShape = { format: kvFormat, numBlocks, numKvHeads, headDim, blockSize };
  const batch: PagedBatch = {
    tensors,
    q: tensors.randomFloats(activations, numRows * (Q_COLUMN + numHeads * headDim)),
    kCache: new HostKvCache(cacheShape),
    vCache: new HostKvCache(cacheShape),
    numRows,
    contextLengths: sequences.map(({ numKeys }) => numKeys),
    blockTableStarts: [],
    blockTables: [],
    positions: [],
    sinks: shape.hasSinks ? tensors.randomFloats('f32', numHeads) : undefined,
    expected: new Float64Array(numRows * numHeads * headDim),
  };
  for (const [s, { numKeys, numQueries }] of sequences.entries()) {
    const table = deck.splice(0, blockCounts[s]!);
    // Blocks that left the window are not in the table, and hold what nobody wrote.
    const firstSeen = Math.max(0, numKeys - numQueries + 1 - (shape.window ?? Number.POSITIVE_INFINITY));
    const firstLive = Math.floor(firstSeen / blockSize);
    batch.blockTableStarts.push((batch.blockTables.length - firstLive) >>> 0);
    batch.blockTables.push(...table.slice(firstLive));
    const [keys, values] = [batch.kCache, batch.vCache].map((cache) =>
      Array.from({ length: numKvHeads }, (_, head) =>
        Array.from({ length: numKeys }, (_, key) => {
          if (key < firstLive * blockSize) return new Float64Array(headDim);
          const slot = table[Math.floor(key / blockSize)]! * blockSize + (key % blockSize);
          return cache.write(slot, head, tensors.randomFloats('f32', headDim));
        }),
      ),
    ) as [Float64Array[][], Float64Array[][]];
    for (let position = numKeys - numQueries; position < numKeys; position++) {
      addExpected(shape, batch, position, keys, values);
    }
  }
  return batch;
};

/** The next row is a query at `position` of the sequence whose heads have these keys and values. */
const addExpected = (
  { numHeads, numKvHeads, headDim, window, softCap }: PagedShape,
  batch: PagedBatch,
  position: number,
  keys: readonly Float64Array[][],
  values: readonly Float64Array[][],
): void => {
  const row = batch.positions.length;
  batch.positions.push(position);
  for (let head = 0; head < numHeads; head++) {
    const kvHead = Math.floor((head * numKvHeads) / numHeads);
    const start = row * (Q_COLUMN + numHeads * headDim) + Q_COLUMN + head * headDim;
    const query = batch.q.subarray(start, start + headDim);
    const first = Math.max(0, position + 1 - (window ?? Number.POSITIVE_INFINITY));
    const [seenKeys, seenValues] = [keys[kvHead]!, values[kvHead]!].map((all) => all.slice(first, position + 1));
    const sink = batch.sinks?.[head];
    const bent = { ...(softCap === undefined ? {} : { softCap }), ...(sink === undefined ? {} : { sink }) };
    batch.expected.set(
      attend(query, seenKeys!, seenValues!, 1 / Math.sqrt(headDim), bent),
      (row * numHeads + head) * headDim,
    );
  }
};

const upload = async (shape: PagedShape, batch: PagedBatch) => {
  const { numHeads, numKvHeads, headDim, blockSize, activations, kvFormat, sequences } = shape;
  const { tensors, numRows } = batch;
  return {
    q: await tensors.floats(activations, [numRows, Q_COLUMN + numHeads * headDim], batch.q),
    qColumn: Q_COLUMN,
    kvFormat,
    kCache: await tensors.kvCache(batch.kCache),
    vCache: await tensors.kvCache(batch.vCache),
    blockTableStarts: await tensors.words([sequences.length], batch.blockTableStarts),
    blockTables: await tensors.words([batch.blockTables.length], batch.blockTables),
    y: await tensors.zeros(activations, [numRows, numHeads * headDim]),
    numHeads,
    numKvHeads,
    headDim,
    blockSize,
    scale: 1 / Math.sqrt(headDim),
    ...(shape.window === undefined ? {} : { window: shape.window }),
    ...(shape.softCap === undefined ? {} : { softCap: shape.softCap }),
    ...(batch.sinks ? { sinks: await tensors.floats('f32', [numHeads], batch.sinks) } : {}),
    maxContext: shape.maxContext ?? Math.max(1, ...batch.contextLengths),
  };
};

/** Every sequence must have one query. */
export const attentionDecodeCheck = async (device: GpuDevice, shape: PagedShape): Promise<KernelCheck> => {
  const batch = makeBatch(device, shape);
  const shared = await upload(shape, batch);
  const { tensors, contextLengths, numRows } = batch;
  const record = await bindAttentionDecode(
    device,
    { ...shared, contextLengths: await tensors.words([numRows], contextLengths), maxSequences: Math.max(1, numRows) },
    shape.variant ?? pickAttentionVariant(device),
  );
  return {
    record: (pass) => record(pass, numRows, Math.max(0, ...contextLengths)),
    error: () => errorOf(device, shared.y, batch.expected),
    maxError: maxErrorOf(shape.activations),
    close: tensors.close,
  };
};

/** Tiles of a batch: each sequence's queries, PREFILL_TILE_ROWS at a time. */
const tilesOf = ({ sequences }: PagedShape): number[] => {
  const tiles: number[] = [];
  let first = 0;
  for (const [sequence, { numKeys, numQueries }] of sequences.entries()) {
    for (let row = 0; row < numQueries; row += PREFILL_TILE_ROWS) {
      const rows = Math.min(PREFILL_TILE_ROWS, numQueries - row);
      tiles.push(sequence, first + row, rows, numKeys - numQueries + row);
    }
    first += numQueries;
  }
  return tiles;
};

export const attentionPrefillCheck = async (device: GpuDevice, shape: PagedShape): Promise<KernelCheck> => {
  const batch = makeBatch(device, shape);
  const shared = await upload(shape, batch);
  const { tensors } = batch;
  const tiles = tilesOf(shape);
  const record = await bindAttentionPrefill(
    device,
    { ...shared, tiles: await tensors.words([tiles.length / 4, 4], tiles) },
    shape.variant ?? pickAttentionVariant(device),
  );
  return {
    record: (pass) => record(pass, tiles.length / 4),
    error: () => errorOf(device, shared.y, batch.expected),
    maxError: maxErrorOf(shape.activations),
    close: tensors.close,
  };
};
