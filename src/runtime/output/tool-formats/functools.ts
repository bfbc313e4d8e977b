/** `functools[{"name": …, "arguments": {…}}]`, of Phi-4-mini and of models trained on Firefunction's data. */
import type { AnswerFormat } from '../../../workers/pool.ts';
import type { ToolDefinition } from '../../api.ts';
import {
  argumentsFormat,
  callsInText,
  callsWithSeparator,
  type GrammarOptions,
  type TagFormat,
} from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

const OPENER = 'functools[';

/** One list of calls between two tags. */
export const listGrammar = (
  tools: readonly ToolDefinition[],
  options: GrammarOptions,
  { opener, closer }: { opener: string; closer: string },
): AnswerFormat => {
  const items = tools.map(
    (tool): TagFormat => ({
      type: 'tag',
      begin: `{"name": ${JSON.stringify(tool.name)}, "arguments": `,
      content: argumentsFormat(tool),
      end: '}',
    }),
  );
  const content = callsWithSeparator(items, ', ', options);
  const list: TagFormat = { type: 'tag', begin: opener, content, end: closer };
  return options.mode === 'required' ? list : callsInText([list], [opener], { parallel: false });
};

export const functools: ToolFormat = {
  name: 'functools',
  matches: (template) => template.includes(OPENER),
  tags: [],
  reader: (calls) => new JsonCallReader(calls, { openers: [OPENER], closers: [] }),
  grammar: (tools, options) => listGrammar(tools, options, { opener: OPENER, closer: ']' }),
};
