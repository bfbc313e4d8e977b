/** `functools[{"name": …, "arguments": {…}}]`, of Phi-4-mini and of models trained on Firefunction's data. */
import { callList } from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

const OPENER = 'functools[';

export const functools: ToolFormat = {
  name: 'functools',
  matches: (template) => template.includes(OPENER),
  tags: [],
  reader: (calls) => new JsonCallReader(calls, { openers: [OPENER], closers: [] }),
  grammar: (tools, options) => callList(tools, options, { begin: OPENER, end: ']' }),
};
