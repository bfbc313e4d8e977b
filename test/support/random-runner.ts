/** A forward pass whose logits are noise: what comes out well-formed does so because it could not do otherwise. */
import type { Batch, KvGeometry, ModelRunner, StepLimits, StepLogits } from '../../src/runtime/model-runner.ts';
import { seededRandom } from './random-weights.ts';

const BLOCK_SIZE = 16;

/** Logits depend on the last token and its position alone, so batches and preemption change nothing. */
export class RandomRunner implements ModelRunner {
  readonly kv: KvGeometry = { blockSize: BLOCK_SIZE, numBlocks: 1024, blockBytes: 4 * BLOCK_SIZE, groups: [{}] };
  readonly limits: StepLimits = { maxTokens: 256, maxSequences: 32, maxRows: 32 };
  readonly maxCandidates = 8;
  readonly kvTransferMs = 0;
  readonly maxBlocksMoved = 1;
  readonly gpuBytes = 0;
  numSteps = 0;
  readonly #vocabularySize: number;
  readonly #liked: ReadonlyMap<number, number>;

  /** @param liked added to the logits of these tokens */
  constructor(vocabularySize: number, liked: ReadonlyMap<number, number> = new Map()) {
    this.#vocabularySize = vocabularySize;
    this.#liked = liked;
  }

  logits(tokenId: number, position: number): Float32Array {
    const random = seededRandom(tokenId * 65_537 + position);
    const row = Float32Array.from({ length: this.#vocabularySize }, () => random() * 6 - 3);
    for (const [id, bonus] of this.#liked) row[id]! += bonus;
    return row;
  }

  async forward({ logitTokens, tokenIds, positions, numCandidates }: Batch): Promise<StepLogits> {
    this.numSteps++;
    const rows = Array.from(logitTokens, (token) => this.logits(tokenIds[token]!, positions[token]!));
    const best = rows.map((row) => Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b));
    return {
      numRows: rows.length,
      argmax: Uint32Array.from(best, ([first]) => first!),
      candidateIds: Uint32Array.from(best.flatMap((ids) => ids.slice(0, numCandidates))),
      candidateLogits: Float32Array.from(
        best.flatMap((ids, r) => ids.slice(0, numCandidates).map((id) => rows[r]![id]!)),
      ),
      logSumExp: Float32Array.from(rows, (row) => Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0))),
      readLogits: async (wanted) => Float32Array.from(wanted.flatMap((row) => [...rows[row]!])),
    };
  }

  async readBlocks(): Promise<Uint8Array<ArrayBuffer>[]> {
    throw new Error('no tier is below this pool');
  }

  async writeBlocks(): Promise<boolean> {
    throw new Error('no tier is below this pool');
  }

  release(): void {}

  async close(): Promise<void> {}
}
