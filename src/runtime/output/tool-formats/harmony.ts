/** Calls as messages to `functions.NAME`, of gpt-oss; `HarmonyReader` reads them with all that is around them. */
import type { AnswerFormat } from '../../../workers/pool.ts';
import type { ToolDefinition } from '../../api.ts';
import { argumentsFormat, type TagFormat } from '../call-grammar.ts';
import { HARMONY_TAGS } from '../harmony-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

/** A message's channel, as it begins the answer. Between two messages of one answer comes `<|start|>assistant`. */
const CALL = '<|channel|>commentary to=functions.';
const FINAL = '<|channel|>final<|message|>';
const NEXT = '<|start|>assistant';
/** Messages that may come before. */
const BEFORE = ['<|channel|>analysis<|message|>', '<|channel|>commentary<|message|>'];

const constant = (value: string): AnswerFormat => ({ type: 'const_string', value });
const sequence = (...elements: readonly AnswerFormat[]): AnswerFormat => ({ type: 'sequence', elements });
const oneOf = (elements: readonly AnswerFormat[]): AnswerFormat =>
  elements.length === 1 ? elements[0]! : { type: 'or', elements };

const callBegin = (tool: ToolDefinition): string => `${tool.name} <|constrain|>json<|message|>`;

/** The content of a message that begins so, at once or after others. */
const endsWith = (begin: string, content: AnswerFormat): readonly AnswerFormat[] => [
  sequence(constant(begin), content),
  ...BEFORE.map((first) =>
    // `<|call|>` and `<|return|>` end the turn and are no text: until the wanted message has begun, they cannot come.
    sequence({ type: 'tag', begin: first, content: { type: 'any_text' }, end: `${NEXT}${begin}` }, content),
  ),
];

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
    const calls = tools.map((tool) => sequence(constant(callBegin(tool)), argumentsFormat(tool)));
    return oneOf([
      ...(calls.length > 0 ? endsWith(CALL, oneOf(calls)) : []),
      ...(mode === 'auto' && text !== undefined ? endsWith(FINAL, text) : []),
    ]);
  },
};
