/** One scale of thinking effort for all dialects, and what a chat template is told of it. */
import type { ReasoningEffort } from '../../runtime/api.ts';

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
export const thinkingOfEffort = (effort: Effort): Thinking => ({
  enableThinking: effort !== 'none',
  reasoningEffort: REASONING_EFFORTS[effort],
});

/** Reasoning budgets in tokens up to which the lower efforts apply; beyond the last it is high. */
const BUDGET_EFFORTS: readonly (readonly [maxTokens: number, effort: ReasoningEffort])[] = [
  [2_048, 'low'],
  [8_192, 'medium'],
];

export const effortOfBudget = (budgetTokens: number): ReasoningEffort =>
  BUDGET_EFFORTS.find(([maxTokens]) => budgetTokens <= maxTokens)?.[1] ?? 'high';
