/** What a tool format must provide: one way in which models write calls of tools. */
import type { AnswerFormat } from '../../workers/pool.ts';
import type { ToolDefinition } from '../api.ts';
import type { GrammarOptions } from './call-grammar.ts';
import type { ToolCalls } from './tool-calls.ts';
import type { ToolReader } from './tool-reader.ts';

export interface ToolFormat {
  readonly name: string;
  /** Told from a chat template's source: a model with this template writes its calls so. */
  matches(template: string): boolean;
  /**
   * Tags that are control tokens in some vocabularies. Such a token, which has no text, reaches the reader as
   * `controlMark` of the tag's place in this list.
   */
  readonly tags: readonly string[];
  /** Reads one answer. Absent: the format is more than calls in text (harmony). */
  readonly reader?: (calls: ToolCalls) => ToolReader;
  /** An id for a call, in the form that the model's template takes. Absent: `call_` and 24 letters and digits. */
  readonly newCallId?: () => string;
  /**
   * The form of an answer after its reasoning. Of harmony it is the whole answer, from behind the prompt's
   * `<|start|>assistant` to the token that ends the turn.
   * @param tools those that may be called, at least one
   */
  grammar(tools: readonly ToolDefinition[], options: GrammarOptions): AnswerFormat;
}
