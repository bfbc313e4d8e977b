/** `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, of Hermes and Qwen. */

import { argumentsFormat, callsInText, callsWithSeparator, type TagFormat } from '../call-grammar.ts';
import { JsonCallReader } from '../json-call-reader.ts';
import type { ToolFormat } from '../tool-format.ts';

export const hermes: ToolFormat = {
  name: 'hermes',
  matches: (template) => template.includes('<tool_call>') && !template.includes('<function='),
  tags: [],
  reader: (calls) => new JsonCallReader(calls, { openers: ['<tool_call>'], closers: ['</tool_call>'] }),
  grammar(tools, options) {
    const tags = tools.map(
      (tool): TagFormat => ({
        type: 'tag',
        begin: `<tool_call>\n{"name": ${JSON.stringify(tool.name)}, "arguments": `,
        content: argumentsFormat(tool),
        end: '}\n</tool_call>',
      }),
    );
    return options.mode === 'required'
      ? callsWithSeparator(tags, '\n', options)
      : callsInText(tags, ['<tool_call>'], options);
  },
};
