/** What changes logits before a token is drawn: penalties for repetition, and per-token biases. */
import type { SamplingParameters } from '../runtime/api.ts';

/** True when the parameters change logits, so that the best candidates of the unchanged row do not suffice. */
export const changesLogits = (sampling: SamplingParameters): boolean =>
  sampling.logitBias.length > 0 ||
  sampling.repetitionPenalty !== 1 ||
  sampling.presencePenalty !== 0 ||
  sampling.frequencyPenalty !== 0;

/**
 * Applies penalties and biases to a row of logits in place. The repetition penalty looks at prompt and answer
 * (Keskar et al. 2019), presence and frequency at the answer alone (OpenAI). Ids outside the row are ignored.
 */
export const processLogits = (
  logits: Float32Array,
  sampling: SamplingParameters,
  promptTokenIds: ArrayLike<number>,
  generatedTokenIds: ArrayLike<number>,
): void => {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, logitBias } = sampling;
  if (repetitionPenalty !== 1) {
    for (const id of new Set([...toArray(promptTokenIds), ...toArray(generatedTokenIds)])) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
  }
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    for (const [id, count] of countTokens(generatedTokenIds)) {
      const logit = logits[id];
      if (logit !== undefined) logits[id] = logit - presencePenalty - count * frequencyPenalty;
    }
  }
  for (const [id, bias] of logitBias) {
    const logit = logits[id];
    if (logit !== undefined) logits[id] = logit + bias;
  }
};

const toArray = (ids: ArrayLike<number>): number[] => Array.from(ids);

const countTokens = (ids: ArrayLike<number>): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const id of toArray(ids)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};
