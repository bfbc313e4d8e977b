/** `functools[{"name": …, "arguments": {…}}]`, of Phi-4-mini and of models trained on Firefunction's data. */
import { callList } from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

/** The list's bracket included. */
export const FUNCTOOLS_OPENER = 'functools[';

export const functools: ToolFormat = {
  name: 'functools',
  matches: (template) => template.includes(FUNCTOOLS_OPENER),
  tags: [],
  reader: (calls) => new JsonCallReader(calls, { openers: [FUNCTOOLS_OPENER], closers: [] }),
  grammar: (tools, options) => callList(tools, options, { begin: FUNCTOOLS_OPENER, end: ']' }),
};
