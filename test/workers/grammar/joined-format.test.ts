/** Formats joined into few grammars let through what their parts say, and keep free text and brought grammars. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { seededNumbers } from '../../../bench/seeded-numbers.ts';
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

describe('schemas of many tools, compiled when a call gets there', () => {
  const NAMES = ['a', 'b', 'ab', 'abc', 'c', 'd', 'e', 'f', 'g', 'h'];
  const schemaOf = (name: string) => ({
    type: 'object',
    properties: {
      text: { type: 'string', minLength: 1, maxLength: name.length + 2 },
      list: { type: 'array', items: { type: 'object', properties: { [name]: { enum: [name, `${name}${name}`] } } } },
      word: { type: 'string', pattern: '^[a-z]+!$' },
    },
    required: ['text'],
    additionalProperties: false,
  });
  const many = NAMES.map((name) => call(name, schemaOf(name)));
  const say = (name: string, value: unknown, spaces = 0) =>
    `<call>{"name": "${name}", "arguments": ${JSON.stringify(value, null, spaces)}}</call>`;
  const formats: readonly AnswerFormat[] = [separated({ tags: many }), inText({ tags: many })];

  test.each(formats)('%#', async (format) => {
    const grammar = await TestGrammar.compileFormat(format);
    const yes = [
      say('a', { text: 'the' }),
      say('ab', { text: '日本"\\' }),
      say('abc', { text: 'x', list: [{ abc: 'abc' }, {}, { abc: 'abcabc' }], word: 'the!' }, 2),
      `${say('h', { text: '}]}' })}\n${say('a', { text: '{"a' })}\n${say('b', { text: '"}}' })}`,
    ];
    const no = [
      say('a', { text: 'long' }),
      say('a', { text: '' }),
      say('a', {}),
      say('ab', { text: 'x', list: [{ abc: 'abc' }] }),
      say('c', { text: 'x', word: 'the' }),
      say('c', { text: 'x', other: 1 }),
      say('z', { text: 'x' }),
      `${say('h', { text: 'x' })}\n${say('a', { text: 'longer' })}`,
    ];
    for (const answer of yes) expect(await grammar.accepts(answer), answer).toBe(true);
    for (const answer of no) expect(await grammar.accepts(answer), answer).toBe(false);
    grammar.dispose();
  });

  test('give calls that satisfy them, and what has no alternative in them', async () => {
    const grammar = await TestGrammar.compileFormat(
      separated({ tags: many, at_least_one: true, stop_after_first: true }),
    );
    const validate = new Map(NAMES.map((name) => [name, new Ajv2020().compile(schemaOf(name))]));
    const random = seededNumbers(4);
    let numEnded = 0;
    for (let i = 0; i < 30; i++) {
      const sentence = await grammar.sentence(random, 300);
      if (sentence === undefined) continue;
      numEnded++;
      const { name, arguments: value } = JSON.parse(sentence.slice('<call>'.length, -'</call>'.length));
      expect(validate.get(name)?.(value), sentence).toBe(true);
    }
    expect(numEnded).toBeGreaterThan(15);
    expect(await grammar.forcedText('<call>{"name": "abc", "argum')).toBe('ents": {');
    expect(await grammar.forcedText('<call>{"name": "abc", "arguments": {"tex')).toBe('t":');
    grammar.dispose();
  });

  test('of one name are alternatives', async () => {
    const twice = [...many, call('a', { type: 'object', properties: { n: { type: 'string', maxLength: 1 } } })];
    const grammar = await TestGrammar.compileFormat(separated({ tags: twice }));
    expect(await grammar.accepts(say('a', { n: 'x' }))).toBe(true);
    expect(await grammar.accepts(say('a', { text: 'the' }))).toBe(true);
    expect(await grammar.accepts(say('a', { n: 'xx' }))).toBe(false);
    expect(await grammar.accepts(say('a', { text: 'long' }))).toBe(false);
    grammar.dispose();
  });

  test('are refused at once', () => {
    const bad = call('z', { type: 'object', properties: { a: { not: {} } } });
    expect(() => joinedFormat(separated({ tags: [...many, bad] }))).toThrow(/not/);
  });
});

test('an error names the schema that it comes from', () => {
  const bad = call('h', { type: 'object', properties: { a: { not: {} } } });
  expect(() => joinedFormat(inText({ tags: [...tags, bad] }))).toThrow(
    expect.objectContaining({ code: 'invalid_request', details: { param: 'h.properties.a.not' } }),
  );
});
