/** Sentences decoded at random under a schema's grammar satisfy the schema by Ajv's judgement, and Ajv's instances are sentences. */

import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { seededNumbers } from '../../../bench/seeded-numbers.ts';
import { schemaGrammar } from '../../../src/workers/grammar/json-schema.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

type Schema = Record<string, unknown> | boolean;

const ajv = new Ajv2020({ strict: false, validateFormats: true, multipleOfPrecision: 9 });
addFormats.default(ajv);

const NUM_SENTENCES = 6;
const random = seededNumbers(20);

const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...more,
});
const A = { type: 'integer' };
const B = { type: 'string' };

/** Schemas, instances that must be sentences, and values that must not be. */
const CASES: readonly (readonly [name: string, schema: Schema, yes: readonly unknown[], no: readonly unknown[]])[] = [
  ['anything', true, [null, [], {}, { a: [1, 'x', { b: null }] }, 1.5e9], []],
  ['an empty schema', {}, [true, 'é'], []],
  ['each type', { type: ['null', 'boolean', 'integer'] }, [null, true, -12, 0], [1.5, 'a', [], {}]],
  ['nullable', { type: 'string', nullable: true }, [null, 'a'], [1]],
  ['strings', { type: 'string' }, ['', 'a"b\\c\n\t\u0001é日😀', '\u2028'], [1]],
  ['lengths of code points', { type: 'string', minLength: 2, maxLength: 3 }, ['ab', '😀é"', '\n\n'], ['', 'a', 'abcd']],
  ['longer lengths', { type: 'string', maxLength: 20 }, ['', 'x'.repeat(20), '"'.repeat(20)], ['x'.repeat(21)]],
  [
    'very long lengths',
    { type: 'string', minLength: 3, maxLength: 5000 },
    ['abc', 'x'.repeat(5000)],
    ['ab', 'x'.repeat(5001)],
  ],
  ['a pattern anywhere', { type: 'string', pattern: '\\d{2}' }, ['a12b', '99'], ['a1b2', '']],
  ['a pattern with quotes', { type: 'string', pattern: '^"[\\\\"é]+$' }, ['"\\', '""é'], ['é', '"a']],
  [
    'a pattern and lengths',
    { type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 30 },
    ['ab'],
    ['a', 'A', 'a'.repeat(31)],
  ],
  ['integers in a range', { type: 'integer', minimum: 3, maximum: 1117 }, [3, 4, 99, 100, 1117], [2, 1118, 3.5, -3]],
  ['negative ranges', { type: 'integer', minimum: -120, maximum: 5 }, [-120, -119, -9, 0, 5], [-121, 6, -1000]],
  ['integers above', { type: 'integer', exclusiveMinimum: -5 }, [-4, 0, 123456], [-5, -60]],
  [
    'safe integers',
    { type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 },
    [9007199254740991, -9007199254740991, 0],
    [],
  ],
  [
    'numbers in a range',
    { type: 'number', exclusiveMinimum: 3, maximum: 17.5 },
    [3.01, 4, 17.5, 10.25],
    [3, 17.51, 2, 175],
  ],
  ['small numbers', { type: 'number', minimum: -0.25, exclusiveMaximum: 0.001 }, [-0.25, 0, 0.0009], [0.001, -0.26, 1]],
  ['draft 4 bounds', { type: 'number', minimum: 3, exclusiveMinimum: true }, [3.5], [3]],
  ['multiples', { type: 'integer', multipleOf: 7, minimum: -50 }, [0, 7, -49, 777], [1, -56, 8]],
  [
    'decimal multiples',
    { type: 'number', multipleOf: 0.05, minimum: 0, maximum: 1000 },
    [0, 0.05, 1.1, 20],
    [0.01, 0.051, 1.12],
  ],
  ['enum', { enum: [1, 'a"', null, { a: [1] }, 1.5] }, [1, 'a"', null, { a: [1] }, 1.5], ['a', 2, {}]],
  ['an enum cut by its type', { type: 'string', enum: ['a', 1, 'b'], maxLength: 1 }, ['a', 'b'], [1]],
  ['const', { const: { a: [true, 'x'] } }, [{ a: [true, 'x'] }], [{ a: [true] }, {}]],
  [
    'optional properties',
    object({ a: A, b: B, c: A }, { required: ['b'] }),
    [{ b: '' }, { a: 1, b: 'x' }, { b: 'x', c: 2 }, { a: 1, b: 'x', c: 2 }],
    [{}, { a: 1 }, { b: 1 }],
  ],
  ['only optional ones', object({ a: A, b: B }), [{}, { a: 1 }, { b: '' }, { a: 1, b: '' }], [{ b: 1 }, []]],
  ['closed objects', object({ a: A }, { additionalProperties: false }), [{}, { a: 1 }], [{ b: 1 }]],
  [
    'more properties',
    object({ ab: A, abc: A, x: A }, { additionalProperties: B }),
    [{ ab: 1, a: 's', abcd: 't' }, { '': '' }],
    [{ ab: 's' }, { x: 's' }, { a: 1 }],
  ],
  ['properties of quotes', object({ 'a"b': A, 'c\\d\n': A, é: A }), [{ 'a"b': 1, 'c\\d\n': 2, é: 3 }], []],
  [
    'required but not listed',
    object({ a: A }, { required: ['z'], additionalProperties: B }),
    [{ a: 1, z: '' }],
    [{ a: 1 }, { z: 1 }],
  ],
  [
    'maps',
    { type: 'object', additionalProperties: A, maxProperties: 2 },
    [{}, { x: 1 }, { x: 1, y: 2 }],
    [{ x: '' }, { x: 1, y: 2, z: 3 }],
  ],
  ['maps that are not empty', { type: 'object', minProperties: 1 }, [{ a: {} }], [{}]],
  [
    'names of a pattern',
    { type: 'object', propertyNames: { pattern: '^[a-c]+$', maxLength: 4 }, additionalProperties: A },
    [{ abc: 1 }, {}],
    [{ d: 1 }, { aaaaa: 1 }],
  ],
  ['names of an enum', { type: 'object', propertyNames: { enum: ['x', 'y'] } }, [{ x: 1 }, { y: [] }], [{ z: 1 }]],
  [
    'pattern properties',
    { type: 'object', patternProperties: { '^n_': A }, additionalProperties: false },
    [{ n_a: 1 }, {}],
    [{ n_a: 's' }, { m: 1 }],
  ],
  [
    'pattern properties beside others',
    object({ k: B }, { patternProperties: { '^n': A }, additionalProperties: { type: 'null' } }),
    [{ k: '', n1: 1, z: null }],
    [{ n1: null }, { z: 1 }],
  ],
  [
    'numbers of properties',
    object({ a: A, b: A, c: A }, { minProperties: 1, maxProperties: 2 }),
    [{ a: 1 }, { a: 1, c: 1 }, { b: 1, c: 1 }],
    [{}, { a: 1, b: 1, c: 1 }],
  ],
  ['arrays', { type: 'array', items: A }, [[], [1], [1, 2, 3]], [['a'], {}]],
  [
    'numbers of items',
    { type: 'array', items: A, minItems: 2, maxItems: 4 },
    [
      [1, 2],
      [1, 2, 3, 4],
    ],
    [[1], [1, 2, 3, 4, 5]],
  ],
  [
    'many items',
    { type: 'array', items: A, minItems: 1, maxItems: 3000 },
    [[1], Array(3000).fill(1)],
    [[], Array(3001).fill(1)],
  ],
  ['tuples', { type: 'array', prefixItems: [A, B], items: false }, [[], [1], [1, 'a']], [[1, 'a', 2], ['a']]],
  [
    'tuples with more',
    { type: 'array', prefixItems: [A, B], items: { type: 'null' }, minItems: 1 },
    [[1], [1, 'a', null, null]],
    [[], [1, 'a', 2]],
  ],
  [
    'unique items of few',
    { type: 'array', items: { enum: ['a', 'b', 'c'] }, uniqueItems: true, minItems: 1 },
    [['a'], ['c', 'a'], ['b', 'c', 'a']],
    [['a', 'a'], []],
  ],
  ['anyOf', { anyOf: [A, { type: 'string', maxLength: 1 }] }, [1, 'a'], ['ab', null]],
  [
    'anyOf of requirements',
    object({ a: A, b: B }, { anyOf: [{ required: ['a'] }, { required: ['b'] }] }),
    [{ a: 1 }, { b: '' }, { a: 1, b: '' }],
    [{}],
  ],
  ['oneOf by type', { oneOf: [A, B, { type: 'array', items: A }] }, [1, 'a', [1]], [1.5, null]],
  [
    'oneOf by a discriminator',
    {
      oneOf: [
        object({ kind: { const: 'a' }, x: A }, { required: ['kind'] }),
        object({ kind: { const: 'b' }, y: B }, { required: ['kind', 'y'] }),
      ],
    },
    [{ kind: 'a' }, { kind: 'a', x: 1 }, { kind: 'b', y: '' }],
    [{ kind: 'b' }, { kind: 'c' }],
  ],
  [
    'oneOf by a discriminator, with lengths',
    {
      oneOf: [
        object({ kind: { const: 'a' }, x: { type: 'string', maxLength: 2 } }, { required: ['kind', 'x'] }),
        object({ kind: { enum: ['ab', 'b'] }, x: { type: 'string', maxLength: 4 } }, { required: ['kind', 'x'] }),
      ],
    },
    [
      { kind: 'a', x: 'xx' },
      { kind: 'b', x: 'the"' },
      { kind: 'ab', x: '' },
    ],
    [
      { kind: 'a', x: 'the' },
      { kind: 'b', x: 'theab' },
    ],
  ],
  [
    'anyOf of objects with lengths',
    {
      anyOf: [
        object({ x: { type: 'string', maxLength: 2 }, y: A }, { required: ['x', 'y'] }),
        object({ x: { type: 'string', maxLength: 4 }, y: B }, { required: ['x', 'y'] }),
      ],
    },
    [
      { x: 'ab', y: 1 },
      { x: 'ab', y: '' },
      { x: 'abab', y: '' },
    ],
    [
      { x: 'abab', y: 1 },
      { x: 'ababa', y: '' },
    ],
  ],
  [
    'allOf of objects',
    { allOf: [object({ a: A }, { required: ['a'] }), object({ b: B, a: { minimum: 3 } }, { required: ['b'] })] },
    [{ a: 3, b: '' }],
    [{ a: 2, b: '' }, { a: 3 }],
  ],
  [
    'allOf of bounds',
    { type: 'integer', allOf: [{ minimum: 3 }, { maximum: 12 }, { multipleOf: 2 }] },
    [4, 12],
    [3, 14, 2],
  ],
  [
    'allOf of patterns',
    { type: 'string', allOf: [{ pattern: '^[a-z]+$' }, { pattern: 'ab' }] },
    ['ab', 'xaby'],
    ['a', 'Ab'],
  ],
  [
    '$ref with siblings',
    { $defs: { n: { type: 'integer', minimum: 2 } }, $ref: '#/$defs/n', maximum: 5 },
    [2, 5],
    [1, 6],
  ],
  [
    'recursion',
    {
      $ref: '#/$defs/node',
      $defs: {
        node: object(
          { v: A, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
          { required: ['v', 'next'] },
        ),
      },
    },
    [{ v: 1, next: { v: 2, next: null } }],
    [{ v: 1 }],
  ],
  [
    'recursion through the root',
    object({ v: A, children: { type: 'array', items: { $ref: '#' } } }, { required: ['v'] }),
    [{ v: 1, children: [{ v: 2, children: [] }] }],
    [{ children: [] }],
  ],
  [
    'anchors',
    { properties: { a: { $ref: '#x' } }, type: 'object', $defs: { x: { $anchor: 'x', type: 'null' } } },
    [{ a: null }],
    [{ a: 1 }],
  ],
  [
    'ids',
    { type: 'object', properties: { a: { $ref: 'thing#/$defs/y' } }, $defs: { x: { $id: 'thing', $defs: { y: A } } } },
    [{ a: 1 }],
    [{ a: 's' }],
  ],
  [
    'annotations',
    {
      type: 'integer',
      title: 't',
      description: 'd',
      default: 'x',
      examples: ['y'],
      'x-vendor': { not: {} },
      deprecated: true,
    },
    [1],
    [],
  ],
  ['unevaluated properties', { ...object({ a: A }), unevaluatedProperties: false }, [{ a: 1 }, {}], [{ b: 1 }]],
  ['false inside', object({ a: false, b: A }), [{}, { b: 1 }], [{ a: 1 }]],
  [
    'an endless branch',
    object({ a: { anyOf: [{ $ref: '#' }, A] } }, { required: ['a'] }),
    [{ a: 1 }, { a: { a: 1 } }],
    [{}],
  ],
];

const FORMATS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['date', ['2024-02-29', '1999-12-31'], ['2023-02-29', '2023-04-31', '23-01-01']],
  ['time', ['12:34:56Z', '00:00:00.123+05:30'], ['24:00:00Z', '12:34:56', '12:34Z']],
  ['date-time', ['2024-02-29T12:34:56Z'], ['2024-02-29', '2024-13-01T00:00:00Z']],
  ['duration', ['P1Y2M3D', 'PT5M', 'P4W', 'P1DT2H'], ['P', 'PT', '1D', 'P1W2D']],
  ['email', ['jo.doe+x@example.com'], ['a@b', '@example.com', 'a b@example.com']],
  ['hostname', ['localhost', 'api.eu-1.example.com'], ['-a', 'a..b', 'a_b']],
  ['ipv4', ['0.0.0.0', '255.249.100.9'], ['256.1.1.1', '1.2.3', '01.2.3.4']],
  ['ipv6', ['::', '::1', 'fe80::1:2', '1:2:3:4:5:6:7:8', '1::'], ['1:2', ':::', '1::2::3', '12345::']],
  ['uuid', ['123e4567-e89b-12d3-a456-426614174000'], ['123e4567', '123e4567-e89b-12d3-a456-42661417400g']],
  ['uri', ['https://example.com/a?b=c#d', 'mailto:a@b.c'], ['/a', 'a b', 'https://a b']],
];

const check = async (schema: Schema, yes: readonly unknown[], no: readonly unknown[]): Promise<void> => {
  const validate = ajv.compile(schema);
  // As the grammar alone keeps it, and with what is checked beside the grammar.
  const alone = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
  const format = { type: 'json_schema', json_schema: schema } as const;
  for (const grammar of [alone, await TestGrammar.compileFormat(format)]) {
    await checkGrammar(grammar, schema, validate, yes, no);
    grammar.dispose();
  }
};

const checkGrammar = async (
  grammar: TestGrammar,
  schema: Schema,
  validate: ValidateFunction,
  yes: readonly unknown[],
  no: readonly unknown[],
): Promise<void> => {
  for (const value of yes) {
    if (!JSON.stringify(schema).includes('"exclusiveMinimum":true'))
      expect(validate(value), `Ajv on ${JSON.stringify(value)}`).toBe(true);
    expect(await grammar.accepts(JSON.stringify(value)), JSON.stringify(value)?.slice(0, 100)).toBe(true);
  }
  for (const value of no)
    expect(await grammar.accepts(JSON.stringify(value)), JSON.stringify(value)?.slice(0, 100)).toBe(false);
  let numEnded = 0;
  for (let i = 0; i < NUM_SENTENCES; i++) {
    const sentence = await grammar.sentence(random);
    if (sentence === undefined) continue;
    numEnded++;
    expect(validate(JSON.parse(sentence)), `${sentence}: ${ajv.errorsText(validate.errors)}`).toBe(true);
  }
  expect(numEnded).toBeGreaterThan(0);
};

describe('a grammar of a schema', () => {
  test.each(CASES)('%s', async (name, schema, yes, no) => {
    // Ajv knows the drafts since 2019 here, in which exclusiveMinimum is a number.
    if (name === 'draft 4 bounds') {
      const grammar = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
      expect(await grammar.accepts('3.5')).toBe(true);
      expect(await grammar.accepts('3')).toBe(false);
      grammar.dispose();
    } else await check(schema, yes, no);
  });

  test.each(FORMATS)('of the format %s', async (format, yes, no) => {
    await check({ type: 'string', format }, yes, no);
  });

  test('accepts compact and indented JSON', async () => {
    const grammar = await TestGrammar.compile(
      schemaGrammar(object({ a: A, b: { type: 'array', items: object({ c: B }) } }), 'schema'),
    );
    const value = { a: 1, b: [{ c: 'x' }, { c: 'y' }] };
    for (const indent of [0, 1, 2, 4, '\t'])
      expect(await grammar.accepts(JSON.stringify(value, null, indent))).toBe(true);
    expect(await grammar.accepts('{"a": 1, "b": [{"c": "x"}]}')).toBe(true);
    expect(await grammar.accepts('{"a":   1}')).toBe(false);
    grammar.dispose();
  });

  test('is the same text each time', () => {
    const schema = { oneOf: [A, B], $defs: {} };
    expect(schemaGrammar(schema, 'x')).toBe(schemaGrammar(structuredClone(schema), 'y'));
  });
});

/** What is refused, and the words that the message must have. */
const REFUSED: readonly (readonly [Schema, RegExp])[] = [
  [false, /no finite value/],
  [{ not: A }, /#\/not uses not.*say what is allowed/],
  [{ if: A }, /#\/if uses if.*anyOf/],
  [{ type: 'array', contains: A }, /#\/contains uses contains/],
  [object({ a: { dependentRequired: { a: ['b'] } } }), /#\/properties\/a\/dependentRequired/],
  [{ dependentSchemas: { a: {} } }, /dependentSchemas/],
  [{ dependencies: { a: ['b'] } }, /dependencies/],
  [{ unevaluatedProperties: B, ...object({ a: A }) }, /unevaluatedProperties/],
  [{ unevaluatedItems: B, type: 'array' }, /unevaluatedItems/],
  [{ allOf: [object({ a: A }), { unevaluatedProperties: false, properties: { b: A } }] }, /unevaluatedProperties/],
  [{ type: 'array', items: A, uniqueItems: true }, /#\/uniqueItems asks for unique items.*enum/],
  [{ type: 'object', minProperties: 2 }, /minProperties.*repeat/],
  [{ type: 'integer', multipleOf: 12345 }, /multipleOf 12345/],
  [{ type: 'integer', multipleOf: 0 }, /multipleOf 0/],
  [{ $ref: 'http://example.com/x' }, /outside of this schema.*\$defs/],
  [{ $ref: '#/$defs/x' }, /does not exist/],
  [{ $ref: '#x' }, /anchor/],
  [{ $ref: '#' }, /refers to itself/],
  [{ $dynamicRef: '#x' }, /\$dynamicRef.*\$ref/],
  [{ $recursiveRef: '#' }, /\$recursiveRef/],
  [{ type: 'text' }, /type.*"text".*known are object/],
  [{ type: 'string', format: 'color' }, /format "color".*date-time/],
  [{ type: 'string', pattern: '(?=a)b' }, /#\/pattern cannot be used.*lookaround/],
  [{ type: 'string', pattern: '(' }, /#\/pattern cannot be used.*not closed/],
  [{ type: 'string', pattern: '^.{900}.*x.{900}$' }, /#\/pattern cannot be used/],
  [{ type: 'string', minLength: -1 }, /minLength -1/],
  [{ type: 'integer', minimum: '3' }, /minimum "3"/],
  [{ required: 'a' }, /required/],
  [{ properties: [] }, /properties/],
  [{ properties: { a: 1 } }, /#\/properties\/a is no schema/],
  [{ anyOf: [] }, /anyOf/],
  [{ oneOf: [object({ a: A }), object({ b: A })] }, /oneOf has schemas that one value.*anyOf/],
  [{ oneOf: [{ type: 'number' }, A] }, /oneOf/],
  [{ type: 'integer', minimum: 3, maximum: 2 }, /no finite value/],
  [object({ n: { $ref: '#' } }, { required: ['n'] }), /no finite value/],
  [{ type: 'string', pattern: '^a$', minLength: 2 }, /no finite value/],
  [{ allOf: [A, B] }, /no finite value/],
  [{ enum: [] }, /no finite value/],
];

test('a schema that is one of its own alternatives adds nothing', async () => {
  const itself = { $ref: '#/$defs/a' };
  const schema = { enum: ['x', 'y', 1], anyOf: [itself, B], $defs: { a: { anyOf: [itself, itself, A, itself] } } };
  const grammar = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
  for (const value of ['x', 'y', 1]) expect(await grammar.accepts(JSON.stringify(value))).toBe(true);
  expect(await grammar.accepts('2')).toBe(false);
  grammar.dispose();
});

describe('a schema that cannot be kept', () => {
  test.each(REFUSED)('%j', (schema, message) => {
    expect(() => schemaGrammar(schema, 'tools.0.parameters')).toThrow(message);
  });

  test('is named by field and pointer', () => {
    const schema = object({ 'a/b': { items: { not: {} } } });
    expect(() => schemaGrammar(schema, 'tools.0.parameters')).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        details: { param: 'tools.0.parameters.properties.a~1b.items.not' },
      }),
    );
  });

  test('of a tool is named in words, and the field alone is the parameter', () => {
    expect(() => schemaGrammar({ not: {} }, 'tools: the parameters of "f"')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('tools: the parameters of "f": the JSON Schema at #/not'),
        details: { param: 'tools' },
      }),
    );
  });

  test('is refused when it is nested too deeply', () => {
    let schema: Schema = {};
    for (let i = 0; i < 150; i++) schema = { type: 'array', items: schema };
    expect(() => schemaGrammar(schema, 'x')).toThrow(/deeper than 100/);
  });

  test('is refused when it is too long', () => {
    expect(() => schemaGrammar({ description: 'x'.repeat(1_000_001) }, 'x')).toThrow(/more than 1000000/);
  });
});
