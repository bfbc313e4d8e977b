/** Formats joined into few grammars let through what their parts say, and keep free text and brought grammars. */
import { expect, test } from 'vitest';
import type { AnswerFormat } from '../../../src/workers/grammar/answer-format.ts';
import { joinedFormat } from '../../../src/workers/grammar/joined-format.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

const call = (name: string, schema: Record<string, unknown>) =>
  ({
    type: 'tag',
    begin: `<call>{"name": "${name}", "arguments": `,
    content: { type: 'json_schema', json_schema: schema, path: name },
    end: '}</call>',
  }) as const;
const tags = [
  call('f', { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }),
  call('g', { type: 'object', properties: { b: { type: 'string' } } }),
];
const F = '<call>{"name": "f", "arguments": {"a": 1}}</call>';
const G = '<call>{"name": "g", "arguments": {"b":"}</call>"}}</call>';
const WRONG = '<call>{"name": "f", "arguments": {"b": "x"}}</call>';
const separated = (more: object): AnswerFormat => ({ type: 'tags_with_separator', tags, separator: '\n', ...more });
const inText = (more: object): AnswerFormat => ({ type: 'triggered_tags', tags, triggers: ['<call>'], ...more });
const text: AnswerFormat = { type: 'any_text' };
const thought: AnswerFormat = { type: 'tag', begin: '<think>', content: text, end: '</think>' };
const gap: AnswerFormat = { type: 'regex', pattern: '[ \\n]{0,4}' };

const CASES: readonly (readonly [name: string, format: AnswerFormat, yes: readonly string[], no: readonly string[]])[] =
  [
    [
      'calls',
      separated({ at_least_one: true }),
      [F, G, `${F}\n${G}\n${F}`],
      ['', `${F}${G}`, WRONG, `x${F}`, `${F}\n`],
    ],
    ['one call', separated({ at_least_one: true, stop_after_first: true }), [F, G], ['', `${F}\n${G}`]],
    ['calls or none', separated({ at_least_one: false }), ['', F, `${F}\n${F}`], [WRONG]],
    ['calls in text', inText({}), ['', 'hello', `hello ${F} and ${G}.`, '<cal'], [WRONG, `a ${WRONG}`]],
    ['one call in text', inText({ stop_after_first: true }), ['hi', `hi ${F}`], [`${F}${G}`, WRONG]],
    [
      'thoughts before calls, or none',
      {
        type: 'or',
        elements: [
          { type: 'sequence', elements: [thought, gap, separated({ at_least_one: true })] },
          separated({ at_least_one: true }),
        ],
      },
      [F, `<think>hm</think>\n\n${G}`, `<think></think>${F}`],
      ['', '<think>hm</think>', `hm${F}`, WRONG],
    ],
    [
      'a schema or a constant',
      {
        type: 'or',
        elements: [
          { type: 'json_schema', json_schema: { type: 'integer' } },
          { type: 'const_string', value: 'none' },
          { type: 'const_string', value: '' },
        ],
      },
      ['12', 'none', ''],
      ['x'],
    ],
    [
      'a grammar of the request',
      {
        type: 'sequence',
        elements: [
          { type: 'regex', pattern: 'a+' },
          { type: 'grammar', grammar: 'root ::= "b" x\nx ::= "c"\n' },
        ],
      },
      ['aabc'],
      ['a', 'bc'],
    ],
    [
      'tags of free text',
      {
        type: 'tags_with_separator',
        tags: [{ type: 'tag', begin: '<p>', content: text, end: '</p>' }],
        separator: ',',
        at_least_one: true,
        stop_after_first: false,
      },
      ['<p>x</p>', '<p>x</p>,<p></p>'],
      ['<p>', 'x'],
    ],
  ];

test.each(CASES)('%s', async (_, format, yes, no) => {
  const grammar = await TestGrammar.compileFormat(format);
  for (const answer of yes) expect(await grammar.accepts(answer), answer).toBe(true);
  for (const answer of no) expect(await grammar.accepts(answer), answer).toBe(false);
  grammar.dispose();
});

test('tools share their rules', () => {
  const made = (numTools: number) =>
    JSON.stringify(
      joinedFormat({ type: 'triggered_tags', triggers: ['<call>'], tags: Array(numTools).fill(tags[1]) }).format,
    );
  expect(made(100).length).toBeLessThan(made(1).length + 100 * 120);
});

test('an error names the schema that it comes from', () => {
  const bad = call('h', { type: 'object', properties: { a: { not: {} } } });
  expect(() => joinedFormat(inText({ tags: [...tags, bad] }))).toThrow(
    expect.objectContaining({ code: 'invalid_request', details: { param: 'h.properties.a.not' } }),
  );
});
