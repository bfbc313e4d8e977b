/** `{"name": …, "parameters": {…}}`, bare or after `<|python_tag|>`, of Llama 3.1 to 3.3; `[name(key="value")]` of Llama 4. */

import { callMembers, callObject, callsInText, callsWithSeparator } from '../call-grammar.ts';
import { controlMark } from '../control-marks.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

const TAG = '<|python_tag|>';

export const llama3: ToolFormat = {
  name: 'llama3',
  matches: (template) =>
    template.includes('<|start_header_id|>') && template.includes('"parameters": ') && template.includes('tools'),
  tags: [TAG],
  reader: (calls) =>
    new JsonCallReader(calls, { openers: [TAG, controlMark(0)], closers: [], mayBeBare: true, mayBePython: true }),
  grammar(tools, options) {
    const call = callObject(tools, 'parameters');
    if (options.mode === 'required') return callsWithSeparator([call], '; ', options);
    // In text, an object is a call if it begins as one.
    const begun = callMembers(tools, 'parameters', '');
    return callsInText([{ ...call, begin: '{"name"', content: begun }], ['{"name"'], options);
  },
};
