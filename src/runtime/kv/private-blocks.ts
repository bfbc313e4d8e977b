/** Batches over blocks that are dealt out beforehand: for measuring and comparing a model without a scheduler. */
import { EngineError } from '../errors.ts';
import type { Batch, GroupBatch, ModelRunner } from '../model-runner.ts';
import { firstLiveBlock, maxBlocks } from './layer-groups.ts';

/** Tokens of one sequence that a step computes. */
export interface Query {
  readonly sequence: number;
  /** Position of the first token. */
  readonly start: number;
  readonly tokenIds: ArrayLike<number>;
}

/**
 * Sequences that have the runner's KV pool to themselves. Each owns, in every layer group, as many blocks as it can
 * hold at once; with a window they are a ring. Blocks of different sequences alternate, the last ones first.
 */
export class PrivateBlocks {
  readonly #kv: ModelRunner['kv'];
  readonly #numSequences: number;
  /** A group's blocks of one sequence, and of the groups before it. */
  readonly #rings: readonly { readonly size: number; readonly before: number }[];

  /** @throws EngineError out_of_memory when `numSequences` of up to `numTokens` tokens do not fit the pool together */
  constructor({ kv, limits }: Pick<ModelRunner, 'kv' | 'limits'>, numTokens: number, numSequences = 1) {
    this.#kv = kv;
    this.#numSequences = numSequences;
    let before = 0;
    this.#rings = kv.groups.map((group) => {
      const ring = { size: maxBlocks(group, numTokens, limits.maxTokens, kv.blockSize), before };
      before += ring.size;
      return ring;
    });
    if (before * numSequences <= kv.numBlocks) return;
    throw new EngineError(
      'out_of_memory',
      `${numSequences} sequences of ${numTokens} tokens need ${before * numSequences} KV blocks, the pool has ${kv.numBlocks}. Use fewer, shorter ones, or a larger --kv-memory.`,
    );
  }

  /** One step over `queries`, those of a single token first, with logits of each query's last token or of all. */
  batch(queries: readonly Query[], logitsOf: 'last' | 'all', numCandidates = 0): Batch {
    const queryStarts = [0];
    for (const { tokenIds } of queries) queryStarts.push(queryStarts.at(-1)! + tokenIds.length);
    const numTokens = queryStarts.at(-1)!;
    const allRows = Array.from({ length: numTokens }, (_, row) => row);
    return {
      numTokens,
      numSequences: queries.length,
      tokenIds: Uint32Array.from(queries.flatMap(({ tokenIds }) => Array.from(tokenIds))),
      positions: Uint32Array.from(queries.flatMap(positionsOf)),
      groups: this.#rings.map((_, group) => this.#groupBatch(queries, group)),
      copies: [],
      sequenceIds: queries.map(({ sequence }) => sequence),
      queryStarts: Uint32Array.from(queryStarts),
      contextLengths: Uint32Array.from(queries, ({ start, tokenIds }) => start + tokenIds.length),
      logitTokens: Uint32Array.from(logitsOf === 'all' ? allRows : queryStarts.slice(1).map((end) => end - 1)),
      numCandidates,
    };
  }

  #groupBatch(queries: readonly Query[], group: number): GroupBatch {
    const { blockSize, groups } = this.#kv;
    const firstBlocks = queries.map(({ start }) => firstLiveBlock(groups[group]!, start, blockSize));
    return {
      slots: Uint32Array.from(
        queries.flatMap((query) =>
          positionsOf(query).map((position) => {
            const block = this.#block(query.sequence, group, Math.floor(position / blockSize));
            return block * blockSize + (position % blockSize);
          }),
        ),
      ),
      blockTables: queries.map(({ sequence, start, tokenIds }, query) => {
        const firstBlock = firstBlocks[query]!;
        const length = Math.ceil((start + tokenIds.length) / blockSize) - firstBlock;
        return Uint32Array.from({ length }, (_, index) => this.#block(sequence, group, firstBlock + index));
      }),
      firstBlocks: Uint32Array.from(firstBlocks),
    };
  }

  #block(sequence: number, group: number, index: number): number {
    const { size, before } = this.#rings[group]!;
    return (before + size - 1 - (index % size)) * this.#numSequences + sequence;
  }
}

const positionsOf = ({ start, tokenIds }: Query): number[] =>
  Array.from({ length: tokenIds.length }, (_, index) => start + index);
