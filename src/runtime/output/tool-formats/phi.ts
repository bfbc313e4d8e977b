/** `<|tool_call|>[{"name": …, "arguments": {…}}]<|/tool_call|>`, of Phi-4-mini. */

import { callList } from '../call-grammar.ts';
import { controlMark } from '../control-marks.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';
import { FUNCTOOLS_OPENER } from './functools.ts';

const OPENER = '<|tool_call|>';
const CLOSER = '<|/tool_call|>';

export const phi: ToolFormat = {
  name: 'phi',
  matches: (template) => template.includes('<|tool|>') || template.includes(OPENER),
  tags: [OPENER, CLOSER],
  reader: (calls) =>
    new JsonCallReader(calls, {
      // The model falls back to what its predecessor wrote.
      openers: [OPENER, controlMark(0), FUNCTOOLS_OPENER],
      closers: [CLOSER, controlMark(1)],
    }),
  grammar: (tools, options) => callList(tools, options, { begin: `${OPENER}[`, end: `]${CLOSER}` }),
};
