/** `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, and `[TOOL_CALLS]NAME[ARGS]{…}` of newer models, of Mistral. */

import { callList } from '../call-grammar.ts';
import { controlMark } from '../control-marks.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import { randomId } from '../tool-calls.ts';
import type { ToolFormat } from '../tool-format.ts';

const CALLS = '[TOOL_CALLS]';
const ARGUMENTS = '[ARGS]';
const CALL_ID = '[CALL_ID]';

export const mistral: ToolFormat = {
  name: 'mistral',
  matches: (template) => template.includes(CALLS),
  tags: [CALLS, ARGUMENTS, CALL_ID],
  reader: (calls) =>
    new JsonCallReader(calls, {
      openers: [CALLS, controlMark(0)],
      closers: [],
      named: { argumentsTags: [ARGUMENTS, controlMark(1)], idTags: [CALL_ID, controlMark(2)] },
    }),
  newCallId: () => randomId(9),
  grammar: (tools, options) => callList(tools, options, { begin: `${CALLS}[`, end: ']' }),
};
