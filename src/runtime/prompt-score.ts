/** How probable the model finds its own prompt: gathered over the steps that compute it, whole where nothing is cached. */
import type { WorkerPool } from '../workers/pool.ts';
import type { GenerationRequest, PromptLogprobs } from './api.ts';
import { withRows } from './batch.ts';
import { EngineError } from './errors.ts';
import type { StepLogits } from './model-runner.ts';
import type { Running } from './running.ts';
import type { Plan } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

const MAX_TOP = 20;
/** Whole rows that are read at once: each is as long as the vocabulary. */
const MAX_WHOLE_ROWS = 8;

/** Rows of one step: the first has the logits after token `start` of the prompt. */
interface ScoredRows {
  readonly firstRow: number;
  readonly start: number;
  readonly numRows: number;
}

export class PromptScore {
  readonly #tokenIds: Uint32Array;
  readonly #numTop: number;
  readonly #logprobs: Float64Array;
  readonly #topIds: Uint32Array;
  readonly #topLogprobs: Float64Array;

  /** @param numTop at most as many as the runner has candidates */
  constructor(tokenIds: Uint32Array, numTop: number) {
    this.#tokenIds = tokenIds;
    this.#numTop = numTop;
    this.#logprobs = new Float64Array(tokenIds.length).fill(Number.NaN);
    this.#topIds = new Uint32Array(tokenIds.length * numTop);
    this.#topLogprobs = new Float64Array(tokenIds.length * numTop);
  }

  /** Takes rows whose step has all candidates; true: they end the prompt. */
  async read(logits: StepLogits, { firstRow, start, numRows }: ScoredRows): Promise<boolean> {
    // What the last token predicts is no part of the prompt, nor is what was generated before a preemption.
    const end = Math.min(start + numRows, this.#tokenIds.length - 1);
    const unlisted: number[] = [];
    for (let position = start; position < end; position++) {
      if (!this.#readCandidates(logits, firstRow + position - start, position + 1)) unlisted.push(position);
    }
    for (let first = 0; first < unlisted.length; first += MAX_WHOLE_ROWS) {
      const positions = unlisted.slice(first, first + MAX_WHOLE_ROWS);
      const rows = positions.map((position) => firstRow + position - start);
      const whole = await logits.readLogits(rows);
      const width = whole.length / rows.length;
      for (const [index, position] of positions.entries()) {
        const logit = whole[index * width + this.#tokenIds[position + 1]!]!;
        this.#logprobs[position + 1] = logit - logits.logSumExp[rows[index]!]!;
      }
    }
    return start + numRows >= this.#tokenIds.length;
  }

  async result(workers: Pick<WorkerPool, 'pieces'>): Promise<PromptLogprobs> {
    const ids = [...new Set([...this.#tokenIds, ...this.#topIds])];
    const pieces = await workers.pieces(ids);
    return {
      tokenIds: this.#tokenIds,
      logprobs: this.#logprobs,
      numTop: this.#numTop,
      topIds: this.#topIds,
      topLogprobs: this.#topLogprobs,
      pieces: new Map(ids.map((id, index) => [id, pieces[index]!])),
    };
  }

  /** False: the token at `position` is not among the row's candidates. */
  #readCandidates({ candidateIds, candidateLogits, logSumExp, numRows }: StepLogits, row: number, position: number) {
    const width = candidateIds.length / numRows;
    const first = row * width;
    const logMass = logSumExp[row]!;
    for (let rank = 0; rank < this.#numTop; rank++) {
      this.#topIds[position * this.#numTop + rank] = candidateIds[first + rank]!;
      this.#topLogprobs[position * this.#numTop + rank] = candidateLogits[first + rank]! - logMass;
    }
    const place = candidateIds.subarray(first, first + width).indexOf(this.#tokenIds[position]!);
    if (place >= 0) this.#logprobs[position] = candidateLogits[first + place]! - logMass;
    return place >= 0;
  }
}

/**
 * What a request wants to know of its prompt; undefined: nothing.
 * @throws EngineError invalid_request: it wants more alternatives than a step reports
 */
export const promptScore = (
  { promptTopLogprobs: numTop }: GenerationRequest,
  tokenIds: Uint32Array,
  maxCandidates: number,
): PromptScore | undefined => {
  if (numTop === undefined) return undefined;
  const most = Math.min(MAX_TOP, maxCandidates);
  if (numTop <= most) return new PromptScore(tokenIds, numTop);
  throw new EngineError('invalid_request', `promptTopLogprobs is ${numTop}: at most ${most} are reported`);
};

/** Reads a step that is computed and not yet committed, and tells who asked for it what is whole. */
export const readScores = async (
  workers: Pick<WorkerPool, 'pieces'>,
  plan: Plan,
  logits: StepLogits,
  runningOf: (sequence: Sequence) => Running | undefined,
): Promise<void> => {
  for (const { entry, firstRow } of withRows(plan.entries)) {
    const running = entry.sequence.isScored ? runningOf(entry.sequence) : undefined;
    if (running?.score === undefined) continue;
    const rows = { firstRow, start: entry.sequence.numComputed, numRows: entry.numRows };
    if (!(await running.score.read(logits, rows))) continue;
    running.events.push({ type: 'prompt_logprobs', logprobs: await running.score.result(workers) });
    running.score = undefined;
  }
};
