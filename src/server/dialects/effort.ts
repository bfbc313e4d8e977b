/** One scale of thinking effort for all dialects, and what a chat template is told of it. */
import type { ChatPrompt, ReasoningEffort } from '../../runtime/api.ts';
import { invalidParam } from './body-schema.ts';

export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

export type Effort = (typeof EFFORTS)[number];

/** How a prompt asks for thinking; absent fields leave it to the model's template. */
export interface Thinking {
  readonly enableThinking?: boolean;
  readonly reasoningEffort?: ReasoningEffort;
}

/** The three levels that models are trained on. Templates without a switch for "none" get their lowest level. */
export const REASONING_EFFORTS: Readonly<Record<Effort, ReasoningEffort>> = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
};

/** Asking for an effort turns thinking on; `none` turns it off. */
const thinkingOfEffort = (effort: Effort): Thinking => ({
  enableThinking: effort !== 'none',
  reasoningEffort: REASONING_EFFORTS[effort],
});

/**
 * How OpenAI's routes ask for thinking. `chat_template_kwargs` speak to the template directly, so they win over an effort.
 * @throws EngineError invalid_request
 */
export const thinkingOfTemplate = (
  effort: Effort | null | undefined,
  kwargs: Readonly<Record<string, unknown>> | null | undefined,
): Thinking & Pick<ChatPrompt, 'templateArguments'> => {
  const { enable_thinking: enableThinking, ...templateArguments } = kwargs ?? {};
  if (enableThinking !== undefined && typeof enableThinking !== 'boolean')
    throw invalidParam('chat_template_kwargs.enable_thinking', 'must be a boolean', 'invalid_type');
  return {
    ...(effort ? thinkingOfEffort(effort) : {}),
    ...(enableThinking === undefined ? {} : { enableThinking }),
    ...(Object.keys(templateArguments).length === 0 ? {} : { templateArguments }),
  };
};

/** Reasoning budgets in tokens up to which the lower efforts apply; beyond the last it is high. */
const BUDGET_EFFORTS: readonly (readonly [maxTokens: number, effort: ReasoningEffort])[] = [
  [2_048, 'low'],
  [8_192, 'medium'],
];

export const effortOfBudget = (budgetTokens: number): ReasoningEffort =>
  BUDGET_EFFORTS.find(([maxTokens]) => budgetTokens <= maxTokens)?.[1] ?? 'high';
