/** `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, and `[TOOL_CALLS]NAME[ARGS]{…}` of newer models, of Mistral. */

import { argumentsFormat, callsInText, callsWithSeparator, type TagFormat } from '../call-grammar.ts';
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
  grammar(tools, options) {
    const items = tools.map(
      (tool): TagFormat => ({
        type: 'tag',
        begin: `{"name": ${JSON.stringify(tool.name)}, "arguments": `,
        content: argumentsFormat(tool),
        end: '}',
      }),
    );
    const list: TagFormat = {
      type: 'tag',
      begin: `${CALLS}[`,
      content: callsWithSeparator(items, ', ', options),
      end: ']',
    };
    // One list holds all calls.
    return options.mode === 'required' ? list : callsInText([list], [CALLS], { parallel: false });
  },
};
