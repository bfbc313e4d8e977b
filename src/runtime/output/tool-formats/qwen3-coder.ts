/** `<tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>`, of Qwen3-Coder. */
import { callsInText, callsWithSeparator, type TagFormat } from '../call-grammar.ts';
import type { ToolFormat } from '../tool-format.ts';
import { XmlCallReader } from '../xml-call-reader.ts';
import { parametersFormat } from '../xml-grammar.ts';

export const qwen3Coder: ToolFormat = {
  name: 'qwen3-coder',
  matches: (template) => template.includes('<function=') && template.includes('<parameter='),
  tags: [],
  reader: (calls) => new XmlCallReader(calls),
  grammar(tools, options) {
    const tags = tools.map(
      (tool): TagFormat => ({
        type: 'tag',
        begin: `<tool_call>\n<function=${tool.name}>\n`,
        content: parametersFormat(tool),
        end: '</function>\n</tool_call>',
      }),
    );
    return options.mode === 'required'
      ? callsWithSeparator(tags, '\n', options)
      : callsInText(tags, ['<tool_call>'], options);
  },
};
