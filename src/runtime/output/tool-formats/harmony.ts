/** Calls as messages to `functions.NAME`, of gpt-oss; `HarmonyReader` reads them with all that is around them. */
import type { AnswerFormat } from '../../../workers/pool.ts';
import { argumentsFormat, callsWithSeparator, type TagFormat } from '../call-grammar.ts';
import { HARMONY_TAGS } from '../harmony-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

/** Between two messages of one answer. */
const NEXT = '<|start|>assistant';
const ANY_TEXT: AnswerFormat = { type: 'any_text' };

const message = (channel: string, end: string, content: AnswerFormat = ANY_TEXT): TagFormat => ({
  type: 'tag',
  begin: `<|channel|>${channel}<|message|>`,
  content,
  end,
});

export const harmony: ToolFormat = {
  name: 'harmony',
  matches: (template) => template.includes('<|channel|>') && template.includes('<|start|>'),
  tags: HARMONY_TAGS,
  grammar(tools, { mode, text }) {
    // `<|call|>` and `<|return|>` end the turn: they are no part of the text, and one call is all there can be.
    const calls = tools.map(
      (tool): TagFormat => ({
        type: 'tag',
        begin: `<|channel|>commentary to=functions.${tool.name} <|constrain|>json<|message|>`,
        content: argumentsFormat(tool),
        end: '',
      }),
    );
    const thoughts = [message('analysis', '<|end|>'), message('commentary', '<|end|>')];
    const last = mode === 'required' ? calls : [...calls, message('final', '', text)];
    return {
      type: 'sequence',
      elements: [
        {
          type: 'tags_with_separator',
          tags: thoughts.map((tag) => ({ ...tag, end: `${tag.end}${NEXT}` })),
          separator: '',
          at_least_one: false,
          stop_after_first: false,
        },
        callsWithSeparator(last, NEXT, { parallel: false }),
      ],
    };
  },
};
