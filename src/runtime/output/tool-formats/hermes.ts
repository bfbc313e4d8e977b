/** `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, of Hermes and Qwen. */

import { callsInText, callsWithSeparator, taggedCall } from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

const OPENER = '<tool_call>';
const CLOSER = '</tool_call>';

export const hermes: ToolFormat = {
  name: 'hermes',
  matches: (template) => template.includes('<tool_call>') && !template.includes('<function='),
  tags: [],
  reader: (calls) => new JsonCallReader(calls, { openers: [OPENER], closers: [CLOSER] }),
  grammar(tools, options) {
    const call = taggedCall(tools, { begin: OPENER, end: CLOSER });
    return options.mode === 'required'
      ? callsWithSeparator([call], '\n', options)
      : callsInText([call], [OPENER], options);
  },
};
