/** What a request may ask of the loaded model, checked before any work is queued. */
import type { GenerationRequest } from './api.ts';
import { EngineError } from './errors.ts';

/**
 * Most tokens to generate after a prompt of this length; a prompt is never cut.
 * @throws EngineError invalid_request, context_length_exceeded
 */
export const fitPrompt = (promptTokens: number, wanted: number | undefined, contextLength: number): number => {
  if (promptTokens === 0)
    throw new EngineError('invalid_request', 'the prompt has no tokens; send at least one', { param: 'prompt' });
  const maxTokens = wanted ?? contextLength - promptTokens;
  if (promptTokens + maxTokens <= contextLength && (promptTokens < contextLength || wanted === 0)) return maxTokens;
  const asked = wanted === undefined ? '' : ` and ${wanted} to generate`;
  throw new EngineError(
    'context_length_exceeded',
    `the context holds ${contextLength} tokens; this request has ${promptTokens} in the prompt${asked}. Shorten the prompt or ask for fewer.`,
    { promptTokens, contextLength, ...(wanted === undefined ? {} : { maxTokens: wanted }) },
  );
};

/** @throws EngineError invalid_request for token ids that the model does not have */
export const refuseBadIds = ({ prompt, sampling }: GenerationRequest, vocabularySize: number): void => {
  if (prompt.kind === 'tokens') checkTokenIds(prompt.tokenIds, vocabularySize, 'prompt');
  for (const [id] of sampling.logitBias) checkTokenIds([id], vocabularySize, 'logit_bias');
};

/** @throws EngineError invalid_request, with `param`, for token ids that the model does not have */
export const checkTokenIds = (tokenIds: ArrayLike<number>, vocabularySize: number, param: string): void => {
  for (let index = 0; index < tokenIds.length; index++) {
    const id = tokenIds[index]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabularySize) continue;
    const fault = `token id ${id} is outside the vocabulary 0 … ${vocabularySize - 1}`;
    throw new EngineError('invalid_request', fault, { param });
  }
};
