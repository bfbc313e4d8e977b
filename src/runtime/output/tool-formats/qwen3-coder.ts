/** `<tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>`, of Qwen3-Coder. */
import { callsInText, callsWithSeparator } from '../call-grammar.ts';
import type { ToolFormat } from '../tool-format.ts';
import { XmlCallReader } from '../xml-call-reader.ts';
import { xmlCall } from '../xml-grammar.ts';

export const qwen3Coder: ToolFormat = {
  name: 'qwen3-coder',
  matches: (template) => template.includes('<function=') && template.includes('<parameter='),
  tags: [],
  reader: (calls) => new XmlCallReader(calls),
  grammar(tools, options) {
    const tags = tools.map(xmlCall);
    return options.mode === 'required'
      ? callsWithSeparator(tags, '\n', options)
      : callsInText(tags, ['<tool_call>'], options);
  },
};
