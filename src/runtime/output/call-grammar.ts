/** The forms of answers with tool calls, which the grammar thread compiles. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { ToolDefinition } from '../api.ts';

export type TagFormat = Extract<AnswerFormat, { type: 'tag' }>;

export interface GrammarOptions {
  /** auto: text, and calls where the model begins one. required: calls and nothing else. */
  readonly mode: 'auto' | 'required';
  /** False: at most one call. */
  readonly parallel: boolean;
  /** The form of an answer in text, for formats that write the whole answer (harmony). Absent: any text. */
  readonly text?: AnswerFormat;
}

/** A call's arguments as JSON: by the tool's schema where it is strict, else any object. */
export const argumentsFormat = ({ name, strict, parameters }: ToolDefinition): AnswerFormat => ({
  type: 'json_schema',
  json_schema: strict && parameters ? parameters : { type: 'object' },
  path: `tools: the parameters of ${JSON.stringify(name)}`,
});

/** Calls one after the other. */
export const callsWithSeparator = (
  tags: readonly TagFormat[],
  separator: string,
  { parallel }: Pick<GrammarOptions, 'parallel'>,
): AnswerFormat => {
  if (parallel) return { type: 'tags_with_separator', tags, separator, at_least_one: true, stop_after_first: false };
  return tags.length === 1 ? tags[0]! : { type: 'or', elements: tags };
};

/** Text with calls in it, each beginning with one of the triggers. */
export const callsInText = (
  tags: readonly TagFormat[],
  triggers: readonly string[],
  { parallel }: Pick<GrammarOptions, 'parallel'>,
): AnswerFormat => ({ type: 'triggered_tags', triggers, tags, at_least_one: false, stop_after_first: !parallel });
