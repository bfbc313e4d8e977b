/** Logits of every position of one sequence: for people who compare implementations. */
import type { KvFormat } from '../kernels/kv-format.ts';
import type { LoadOptions } from './create-engine-options.ts';
import { EngineError } from './errors.ts';
import { PrivateBlocks } from './kv/private-blocks.ts';
import { loadModel } from './load-model.ts';
import type { Batch, ModelRunner } from './model-runner.ts';

export interface LogitsRequest extends Pick<LoadOptions, 'adapter' | 'checks'> {
  readonly modelPath: string;
  readonly ids: readonly number[];
  /** Tokens a step; absent: all at once. */
  readonly chunk?: number;
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: KvFormat;
}

export interface LogitsResult {
  readonly vocabularySize: number;
  /** [ids.length * vocabularySize], row-major. */
  readonly logits: Float32Array;
}

/** Rows of logits are kept small enough that any adapter can bind them. */
const MAX_ROWS = 512;

/**
 * Runs the model over `ids` in steps of `chunk` tokens and returns all positions' logits.
 * @throws EngineError invalid_request for ids out of the vocabulary or beyond the context; as `loadModel`
 */
export const computeLogits = async (request: LogitsRequest): Promise<LogitsResult> => {
  const { modelPath, ids, activations, kvFormat, adapter, checks } = request;
  const chunk = request.chunk ?? ids.length;
  if (ids.length === 0) throw new EngineError('invalid_request', '--ids is empty; give at least one token id');
  const { runner, description } = await loadModel(modelPath, {
    activations,
    kvFormat,
    maxBatchTokens: Math.min(Math.max(chunk, 1), MAX_ROWS),
    maxSequences: 1,
    maxRows: MAX_ROWS,
    takesIdsOnly: true,
    ...(adapter === undefined ? {} : { adapter }),
    ...(checks === undefined ? {} : { checks }),
  });
  try {
    checkIds(ids, description.vocabularySize, description.contextLength);
    return await sequenceLogits(runner, ids, Math.min(chunk, runner.limits.maxRows), description.vocabularySize);
  } finally {
    await runner.close();
  }
};

const checkIds = (ids: readonly number[], vocabularySize: number, contextLength: number): void => {
  if (ids.length > contextLength) {
    throw new EngineError('context_length_exceeded', `${ids.length} ids, the context holds ${contextLength}`);
  }
  for (const id of ids) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
      throw new EngineError('invalid_request', `token id ${id} is outside the vocabulary 0 … ${vocabularySize - 1}`);
    }
  }
};

/** Feeds one sequence through a runner whose blocks are all free, `chunk` tokens a step. */
export const sequenceLogits = async (
  runner: ModelRunner,
  ids: readonly number[],
  chunk: number,
  vocabularySize: number,
): Promise<LogitsResult> => {
  const logits = new Float32Array(ids.length * vocabularySize);
  for (let start = 0; start < ids.length; start += chunk) {
    const end = Math.min(ids.length, start + chunk);
    const step = await runner.forward(sequenceBatch(runner, ids, start, end));
    const rows = Array.from({ length: end - start }, (_, row) => row);
    logits.set(await step.readLogits(rows), start * vocabularySize);
  }
  return { vocabularySize, logits };
};

/** Tokens `start` … `end − 1` of a sequence that has the pool to itself, with logits at every one of them. */
export const sequenceBatch = (runner: ModelRunner, ids: readonly number[], start: number, end: number): Batch =>
  new PrivateBlocks(runner, ids.length).batch([{ sequence: 0, start, tokenIds: ids.slice(start, end) }], 'all');
