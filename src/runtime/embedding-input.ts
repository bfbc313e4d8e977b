/** What an embedding is made of, before the model, and what it becomes behind it. */

import { joinTokens } from '../workers/tokenizer/token-buffer.ts';
import type { EmbeddingDescription, Prompt } from './api.ts';
import { EngineError } from './errors.ts';
import type { Preparation } from './preparation.ts';
import { checkTokenIds } from './request-limits.ts';

export interface InputLimits {
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** Goes behind texts; token ids are used as they are. */
  readonly endTokenId: number | undefined;
}

/** Texts at once in the worker pool: others' prompts find room between them. */
const PREPARED_AT_ONCE = 8;

/** @throws EngineError invalid_request, context_length_exceeded, shutting_down, aborted */
export const prepareInputs = async (
  preparation: Preparation,
  prompts: readonly Prompt[],
  limits: InputLimits,
  signal: AbortSignal,
): Promise<Uint32Array[]> => {
  for (const prompt of prompts) {
    if (prompt.kind === 'tokens') checkTokenIds(prompt.tokenIds, limits.vocabularySize, 'input');
  }
  const inputs: Uint32Array[] = [];
  for (let first = 0; first < prompts.length; first += PREPARED_AT_ONCE) {
    const some = prompts.slice(first, first + PREPARED_AT_ONCE);
    const prepared = await Promise.all(
      some.map(async (prompt) => {
        const { tokenIds } = await preparation.prepare(prompt, signal);
        return withEnd(tokenIds, prompt, limits.endTokenId);
      }),
    );
    inputs.push(...prepared);
  }
  for (const [index, { length }] of inputs.entries()) requireFit(index, length, limits.contextLength);
  return inputs;
};

/** The tokens of a text with what its embedding needs behind it. */
export const withEnd = (tokenIds: Uint32Array, prompt: Prompt, endTokenId: number | undefined): Uint32Array =>
  prompt.kind !== 'text' || prompt.addSpecial === false || endTokenId === undefined
    ? tokenIds
    : joinTokens([tokenIds, Uint32Array.of(endTokenId)]);

const requireFit = (index: number, numTokens: number, contextLength: number): void => {
  if (numTokens === 0) {
    throw new EngineError('invalid_request', `input ${index} has no tokens; send at least one`, { param: 'input' });
  }
  if (numTokens <= contextLength) return;
  throw new EngineError(
    'context_length_exceeded',
    `input ${index} has ${numTokens} tokens, the model reads at most ${contextLength}: shorten or split it`,
    { param: 'input', contextLength },
  );
};

/** @throws EngineError invalid_request for more elements than the model's embeddings have */
export const requireDimensions = (wanted: number | undefined, { size }: EmbeddingDescription): void => {
  if (wanted === undefined || (Number.isInteger(wanted) && wanted >= 1 && wanted <= size)) return;
  throw new EngineError(
    'invalid_request',
    `dimensions: ${wanted} asked for, this model's embeddings have 1 to ${size}`,
    {
      param: 'dimensions',
    },
  );
};

/**
 * The first `dimensions` elements of a sum, brought to length 1; zeros stay zeros.
 * @throws EngineError internal when the model made no numbers
 */
export const normalize = (sum: Float32Array | Float64Array, dimensions = sum.length): Float32Array => {
  const kept = sum.subarray(0, dimensions);
  let squares = 0;
  for (const value of kept) squares += value * value;
  if (!Number.isFinite(squares))
    throw new EngineError('internal', 'the embedding is not a number: the model overflowed');
  const factor = squares === 0 ? 0 : 1 / Math.sqrt(squares);
  return Float32Array.from(kept, (value) => value * factor);
};
