/** Runs a model's kernels once before anybody waits for them: drivers compile a shader when it is first dispatched. */
import { maxSequenceTokens } from './kv/layer-groups.ts';
import { sequenceBatch } from './logits.ts';
import type { ModelRunner } from './model-runner.ts';

/** Tokens a step: one that decodes, a few and many that prefill, as the kernels have variants for. */
const STEP_TOKENS = [1, 5, 33];

/**
 * Computes short sequences of token 0 and forgets them. Call it while no KV block is in use.
 * @throws EngineError as `ModelRunner.forward`
 */
export const warmUp = async (runner: ModelRunner): Promise<void> => {
  const { maxTokens } = runner.limits;
  const capacity = maxSequenceTokens(runner.kv, maxTokens, maxTokens);
  for (const numTokens of STEP_TOKENS.filter((count) => count <= capacity)) {
    const batch = sequenceBatch(runner, new Array<number>(numTokens).fill(0), 0, numTokens);
    const last = Uint32Array.of(numTokens - 1);
    for (const numCandidates of [0, runner.maxCandidates]) {
      await runner.forward({ ...batch, logitTokens: last, numCandidates });
    }
  }
};
