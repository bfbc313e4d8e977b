/** How the rows of a text's tokens become its one embedding. */
import { EngineError } from '../errors.ts';
import type { ModelFile } from '../weights/model-file.ts';

/** The mean of all tokens, the first one, or the last one. */
export type Pooling = 'mean' | 'cls' | 'last';

/** ggml's `llama_pooling_type`; 0 is "none said". */
export const POOLING_TYPES: Readonly<Record<Pooling, number>> = { mean: 1, cls: 2, last: 3 };

/** Scores pairs of texts and has no embeddings. */
const RANK = 4;

const poolingKey = (file: ModelFile): string => `${file.string('general.architecture')}.pooling_type`;

/**
 * What `<architecture>.pooling_type` says; `fallback` where the file says nothing.
 * @throws EngineError model_unsupported for rerankers
 */
export const readPooling = (file: ModelFile, fallback: Pooling): Pooling => {
  const key = poolingKey(file);
  const type = file.number(key, 0);
  const [pooling] = Object.entries(POOLING_TYPES).find(([, number]) => number === type) ?? [];
  if (pooling !== undefined) return pooling as Pooling;
  if (type === 0) return fallback;
  const what = type === RANK ? '4: a reranker, which has no embeddings' : String(type);
  throw new EngineError('model_unsupported', `${file.path}: ${key} is ${what}; supported: 1 (mean), 2 (CLS), 3 (last)`);
};

/** Of a model that generates: the last token where the file says nothing; undefined for rerankers. */
export const readDecoderPooling = (file: ModelFile): Pooling | undefined =>
  file.number(poolingKey(file), 0) === RANK ? undefined : readPooling(file, 'last');

/** Rows of a sequence that make its embedding: the first one, counted from the sequence's own, and how many. */
export const pooledRows = (pooling: Pooling, numTokens: number): readonly [first: number, count: number] => {
  if (pooling === 'mean') return [0, numTokens];
  return [pooling === 'cls' ? 0 : numTokens - 1, 1];
};
