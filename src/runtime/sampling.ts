import type { SamplingParameters } from './api.ts';

/** Neutral sampling: greedy off, nothing cut, nothing penalised (OpenAI's defaults). */
export const DEFAULT_SAMPLING: SamplingParameters = Object.freeze({
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
});
