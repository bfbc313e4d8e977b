/**
 * A block ```` ```tool_code ````, or a bare object, with `{"name": …, "parameters": {…}}`: Gemma has no form of its
 * own and follows what its prompt asks for.
 * Source: "Function calling with Gemma", ai.google.dev (the JSON form; the Python form is read, too).
 */

import { callsInText, callsWithSeparator, taggedCall } from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

const OPENER = '```tool_code';
const CLOSER = '```';

export const gemma: ToolFormat = {
  name: 'gemma',
  matches: (template) => template.includes('<start_of_turn>') || template.includes(OPENER),
  tags: [],
  reader: (calls) =>
    new JsonCallReader(calls, {
      openers: [OPENER],
      quietOpeners: ['```json'],
      closers: [CLOSER],
      mayBeBare: true,
      mayBePython: true,
    }),
  grammar(tools, options) {
    const call = taggedCall(tools, { begin: OPENER, end: CLOSER, key: 'parameters' });
    return options.mode === 'required'
      ? callsWithSeparator([call], '\n', options)
      : callsInText([call], [OPENER], options);
  },
};
