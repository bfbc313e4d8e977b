/** Times a model's prefill and decode on its runner alone: no scheduler, no sampler, every token really computed. */
import { PrivateBlocks } from '../runtime/kv/private-blocks.ts';
import type { ModelRunner } from '../runtime/model-runner.ts';

export interface Workload {
  /** Tokens of each prompt. */
  readonly promptTokens: number;
  /** Tokens decoded after each prompt. */
  readonly decodeTokens: number;
  /** Sequences that prefill one after another, then decode together. */
  readonly batch: number;
  /** Most tokens of a prefill step. */
  readonly chunk: number;
  readonly vocabularySize: number;
}

export interface ModelSpeed {
  readonly prefillTokensPerSecond: number;
  /** Of all sequences together. */
  readonly decodeTokensPerSecond: number;
  /** Milliseconds a decode step. */
  readonly decodeStepMs: { readonly p50: number; readonly p95: number };
}

/** The value below which `share` of the sorted sample lies, by the nearest rank. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
};

/**
 * Runs the workload once over KV blocks of its own; run it once before, to compile and touch everything.
 * @throws EngineError out_of_memory when its sequences do not fit the pool together
 */
export const measureModel = async (runner: ModelRunner, work: Workload): Promise<ModelSpeed> => {
  const prompts = Array.from({ length: work.batch }, (_, sequence) => promptOf(work, sequence));
  const last = new Uint32Array(work.batch);
  const blocks = new PrivateBlocks(runner, work.promptTokens + work.decodeTokens, work.batch);
  const prefillStart = performance.now();
  for (const [sequence, prompt] of prompts.entries()) {
    for (let start = 0; start < prompt.length; start += work.chunk) {
      const part = prompt.subarray(start, start + work.chunk);
      const step = await runner.forward(blocks.batch([{ sequence, start, tokenIds: part }], 'last'));
      last[sequence] = step.argmax[0]!;
    }
  }
  const prefillMs = performance.now() - prefillStart;
  const stepMs: number[] = [];
  for (let index = 0; index < work.decodeTokens; index++) {
    const stepStart = performance.now();
    const queries = Array.from(last, (token, sequence) => ({
      sequence,
      start: work.promptTokens + index,
      tokenIds: Uint32Array.of(token),
    }));
    last.set((await runner.forward(blocks.batch(queries, 'last'))).argmax);
    stepMs.push(performance.now() - stepStart);
  }
  const decodeMs = stepMs.reduce((sum, ms) => sum + ms, 0);
  return {
    prefillTokensPerSecond: (1000 * work.batch * work.promptTokens) / prefillMs,
    decodeTokensPerSecond: (1000 * work.batch * work.decodeTokens) / decodeMs,
    decodeStepMs: { p50: percentile(stepMs, 0.5), p95: percentile(stepMs, 0.95) },
  };
};

/** Token ids spread over the vocabulary, other ones for each sequence. */
const promptOf = ({ promptTokens, vocabularySize }: Workload, sequence: number): Uint32Array =>
  Uint32Array.from({ length: promptTokens }, (_, index) => (1 + sequence + index * 7919) % vocabularySize);
