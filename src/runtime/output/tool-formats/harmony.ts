/** Calls as messages to `functions.NAME`, of gpt-oss; `HarmonyReader` reads them with all that is around them. */
import type { AnswerFormat } from '../../../workers/pool.ts';
import type { ToolDefinition } from '../../api.ts';
import { argumentsFormat, type TagFormat } from '../call-grammar.ts';
import { HARMONY_TAGS } from '../harmony-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

/** A message's channel, as it begins the answer. Between two messages of one answer comes `NEXT`. */
const CALL = '<|channel|>commentary to=functions.';
const FINAL = '<|channel|>final<|message|>';
const NEXT = '<|start|>assistant';
const ANALYSIS = '<|channel|>analysis<|message|>';
const PREAMBLE = '<|channel|>commentary<|message|>';
/** Without control tokens, which no expression's characters are: a message that ends goes on with the next. */
const TEXT: AnswerFormat = { type: 'regex', pattern: '[\\s\\S]*' };

const constant = (value: string): AnswerFormat => ({ type: 'const_string', value });
const sequence = (...elements: readonly AnswerFormat[]): AnswerFormat => ({ type: 'sequence', elements });
const oneOf = (elements: readonly AnswerFormat[]): AnswerFormat =>
  elements.length === 1 ? elements[0]! : { type: 'or', elements };

const callBegin = (tool: ToolDefinition): string => `${tool.name} <|constrain|>json<|message|>`;

/** Any number of messages that end, so that another must follow: of those that end the turn there is one. */
const messages = (begins: readonly string[]): AnswerFormat => ({
  type: 'tags_with_separator',
  tags: begins.map((begin) => ({ type: 'tag', begin, content: TEXT, end: `<|end|>${NEXT}` })),
  separator: '',
  at_least_one: false,
});

export const harmony: ToolFormat = {
  name: 'harmony',
  matches: (template) => template.includes('<|channel|>') && template.includes('<|start|>'),
  tags: HARMONY_TAGS,
  grammar(tools, { mode, text }) {
    if (mode === 'auto' && text === undefined) {
      // The recipient may stand before the channel, too. `<|call|>` ends the turn, so one call is all there can be.
      const tags = tools.flatMap((tool): TagFormat[] => {
        const content = argumentsFormat(tool);
        const late = `${tool.name}<|channel|>commentary <|constrain|>json<|message|>`;
        return [
          { type: 'tag', begin: `${CALL}${callBegin(tool)}`, content, end: '' },
          { type: 'tag', begin: `${NEXT} to=functions.${late}`, content, end: '' },
        ];
      });
      return { type: 'triggered_tags', triggers: [CALL, `${NEXT} to=`], tags, stop_after_first: true };
    }
    const calls = tools.map((tool) => sequence(constant(`${CALL}${callBegin(tool)}`), argumentsFormat(tool)));
    const answer = mode === 'auto' && text !== undefined ? [sequence(constant(FINAL), text)] : [];
    // What is said before the answer would be shown as part of it.
    const before = messages(answer.length > 0 ? [ANALYSIS] : [ANALYSIS, PREAMBLE]);
    return sequence(before, oneOf([...calls, ...answer]));
  },
};
