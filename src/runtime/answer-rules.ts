/** What one answer has to keep to: the grammar of its format, and a budget of reasoning. */
import type { PreparedPrompt, WorkerPool } from '../workers/pool.ts';
import type { GenerationRequest } from './api.ts';
import { Constraint, type GrammarWorkers } from './constraint.ts';
import { answerFormat } from './output/answer-format.ts';
import type { ModelOutput } from './output/model-output.ts';
import { reasoningClosing } from './output/parser.ts';
import type { ReasoningBudget } from './running.ts';

export interface AnswerRules {
  readonly constraint: Constraint | undefined;
  readonly reasoningBudget: ReasoningBudget | undefined;
}

export interface AnswerRulesContext {
  readonly workers: GrammarWorkers & Pick<WorkerPool, 'encode'>;
  readonly output: ModelOutput;
}

/** @param id the answer's, unique among those in progress. @throws EngineError invalid_request: its format cannot be compiled */
export const openAnswerRules = async (
  { workers, output }: AnswerRulesContext,
  request: GenerationRequest,
  prepared: PreparedPrompt,
  id: number,
): Promise<AnswerRules> => {
  const { prompt, reasoningBudgetTokens: maxTokens, sampling } = request;
  const spoken = prompt.kind === 'chat' ? output.reasoning : 'none';
  const closing =
    maxTokens === undefined ? undefined : reasoningClosing(spoken, request.toolChoice?.mode === 'required');
  const closingTokenIds = closing === undefined ? undefined : [...(await workers.encode(closing))];
  const format = answerFormat(output, request, prepared);
  return {
    // Log-probabilities are of tokens that the model chose.
    constraint: format && (await Constraint.open(workers, { id, format, jumps: sampling.topLogprobs === undefined })),
    reasoningBudget:
      maxTokens === undefined || closingTokenIds === undefined ? undefined : { maxTokens, closingTokenIds },
  };
};
