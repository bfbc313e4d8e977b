/** What a request's answer must look like, as the grammar of its whole output: reasoning stays free. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { OutputConstraint } from '../api.ts';
import type { ReasoningFormat } from './parser.ts';

export interface AnswerRules {
  readonly reasoning: ReasoningFormat;
  /** The prompt already ends inside a reasoning block. */
  readonly reasoningOpened: boolean;
  readonly constraint: OutputConstraint | undefined;
}

/** What models write between their reasoning and the answer. */
const GAP: AnswerFormat = { type: 'regex', pattern: '[ \\n]{0,4}' };

/** Undefined: the answer is free. */
export const answerFormat = ({ reasoning, reasoningOpened, constraint }: AnswerRules): AnswerFormat | undefined => {
  const content = constraint && constrained(constraint);
  if (content === undefined || reasoning === 'none') return content;
  const thought = (begin: string): AnswerFormat => ({
    type: 'sequence',
    elements: [{ type: 'tag', begin, content: { type: 'any_text' }, end: '</think>' }, GAP, content],
  });
  return reasoningOpened ? thought('') : { type: 'or', elements: [thought('<think>'), content] };
};

const at = ({ param }: { readonly param?: string }): { readonly path?: string } =>
  param === undefined ? {} : { path: param };

const constrained = (constraint: OutputConstraint): AnswerFormat => {
  switch (constraint.kind) {
    case 'json_object':
      return { type: 'json_schema', json_schema: { type: 'object' } };
    case 'json_schema':
      return { type: 'json_schema', json_schema: constraint.schema, ...at(constraint) };
    case 'grammar':
      return { type: 'grammar', grammar: constraint.ebnf, ...at(constraint) };
    case 'regex':
      return { type: 'regex', pattern: constraint.pattern, ...at(constraint) };
  }
};
