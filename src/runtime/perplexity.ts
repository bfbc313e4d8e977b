/** How well a model predicts a text: windows that slide over it, each token scored once. */
import { createTokenizer } from '../workers/tokenizer/tokenizer.ts';
import { EngineError } from './errors.ts';
import type { LoadedModel } from './load-model.ts';
import { sequenceBatch } from './logits.ts';

export interface PerplexityOptions {
  /** Tokens of a window, BOS included. */
  readonly window: number;
  /** Tokens by which a window moves on; only those that are new in it are scored. */
  readonly stride: number;
  readonly onProgress?: (scored: number, total: number) => void;
}

export interface Perplexity {
  /** exp of the mean negative log-likelihood. */
  readonly perplexity: number;
  readonly tokens: number;
  /** Of the tokens, those that were scored: all but the first, which nothing predicts unless there is a BOS. */
  readonly scored: number;
  /** Tokens before a scored one, BOS included: the fewest within a window that is not the first, and the mean over all. */
  readonly contextTokens: { readonly least: number; readonly mean: number };
  readonly window: number;
  readonly stride: number;
}

/**
 * @throws EngineError invalid_request when the text has fewer than two tokens, or the window does not fit the model
 */
export const measurePerplexity = async (
  model: LoadedModel,
  text: string,
  { window, stride, onProgress }: PerplexityOptions,
): Promise<Perplexity> => {
  const { tokenizer: definition, description } = model;
  if (!definition)
    throw new EngineError('model_unsupported', `${description.id} has no tokenizer: perplexity needs text`);
  if (window > description.contextLength || window < 2) {
    throw new EngineError(
      'invalid_request',
      `a window of ${window} tokens; allowed: 2 to ${description.contextLength}`,
    );
  }
  if (stride < 1 || stride >= window) {
    throw new EngineError('invalid_request', `a stride of ${stride} tokens; allowed: 1 to ${window - 1}`);
  }
  const ids = createTokenizer(definition).encode(text, { parseSpecial: false });
  const bos = 'addBos' in definition && definition.addBos ? definition.bosTokenId : undefined;
  const prefix = bos === undefined ? [] : [bos];
  if (ids.length + prefix.length < 2) throw new EngineError('invalid_request', 'the text has fewer than two tokens');
  const sum = new LogLikelihood(model, prefix);
  // The first window scores all it holds; each later one begins so that `stride` of its tokens are new.
  const room = window - prefix.length;
  const firstUnscored = 1 - prefix.length;
  for (let end = Math.min(room, ids.length), scored = firstUnscored; ; end = Math.min(end + stride, ids.length)) {
    const start = Math.max(0, end - room);
    await sum.add(ids.subarray(start, end), scored - start, start > 0);
    scored = end;
    onProgress?.(end, ids.length);
    if (end === ids.length) break;
  }
  return {
    perplexity: Math.exp(-sum.total / sum.scored),
    tokens: ids.length,
    scored: sum.scored,
    contextTokens: { least: sum.leastContext, mean: sum.contextTotal / sum.scored },
    window,
    stride,
  };
};

class LogLikelihood {
  total = 0;
  scored = 0;
  contextTotal = 0;
  leastContext = Number.POSITIVE_INFINITY;
  readonly #model: LoadedModel;
  readonly #prefix: readonly number[];

  constructor(model: LoadedModel, prefix: readonly number[]) {
    this.#model = model;
    this.#prefix = prefix;
  }

  /** Scores the tokens from `first` on, given those before them. */
  async add(tokens: Uint32Array, first: number, isLater: boolean): Promise<void> {
    const { runner, description } = this.#model;
    const ids = [...this.#prefix, ...tokens];
    const firstTarget = first + this.#prefix.length;
    const chunk = Math.min(runner.limits.maxRows, runner.limits.maxTokens);
    // The last token predicts nothing that is scored here.
    for (let start = 0; start < ids.length - 1; start += chunk) {
      const end = Math.min(ids.length - 1, start + chunk);
      const step = await runner.forward(sequenceBatch(runner, ids, start, end));
      const rows = [];
      for (let row = Math.max(0, firstTarget - 1 - start); row < end - start; row++) rows.push(row);
      if (rows.length === 0) continue;
      const logits = await step.readLogits(rows);
      const width = description.vocabularySize;
      for (const [i, row] of rows.entries()) {
        const target = start + row + 1;
        this.total += logProbability(logits.subarray(i * width, (i + 1) * width), ids[target]!);
        this.scored++;
        this.contextTotal += target;
        if (isLater) this.leastContext = Math.min(this.leastContext, target);
      }
    }
    if (!isLater) this.leastContext = Math.min(this.leastContext, firstTarget);
  }
}

const logProbability = (logits: Float32Array, id: number): number => {
  let maximum = Number.NEGATIVE_INFINITY;
  for (const logit of logits) maximum = Math.max(maximum, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - maximum);
  return logits[id]! - maximum - Math.log(sum);
};
