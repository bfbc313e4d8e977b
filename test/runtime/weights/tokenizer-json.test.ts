import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src/runtime/errors.ts';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { readTokenizerJson } from '../../../src/runtime/weights/tokenizer-json.ts';
import type { SplitStep, VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { preTokenizer } from '../../../src/workers/tokenizer/pre-tokenizers.ts';
import { cutter } from '../../../src/workers/tokenizer/split.ts';
import { createTokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { encodeCharsmap } from '../../support/charsmap.ts';
import { hasTestData, testData } from '../../support/test-data.ts';
import { tokenizerJson } from '../../support/tokenizer-json.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const folderOf = (files: Readonly<Record<string, unknown>>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenizer-json-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
};

const read = async (files: Readonly<Record<string, unknown>>): Promise<VocabularyDefinition> =>
  (await readTokenizerJson(folderOf(files))) as VocabularyDefinition;

const encode = (definition: VocabularyDefinition, text: string, parseSpecial = false): number[] => [
  ...createTokenizer(definition).encode(text, { parseSpecial }),
];

const split = (Regex: string) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
});
const expression = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const SENTENCEPIECE = {
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  model: { byte_fallback: true, fuse_unk: true, unk_token: '<unk>' },
};

/** What the published files have beside the vocabulary. */
const PUBLISHED: Record<string, { readonly model?: object } & Record<string, unknown>> = {
  'gpt-2': { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true } },
  'llama-bpe': { pre_tokenizer: split(expression('\\p{N}{1,3}')), model: { ignore_merges: true } },
  qwen2: { normalizer: { type: 'NFC' }, pre_tokenizer: split(expression('\\p{N}')) },
  'llama-spm': SENTENCEPIECE,
  'phi-3': SENTENCEPIECE,
};

describe('published vocabularies', () => {
  let cases = 0;
  for (const [name, parts] of Object.entries(PUBLISHED)) {
    const path = testData(`tokenizers/${name}.gguf`);
    if (path === undefined) continue;
    const inputs = readFileSync(testData(`tokenizers/${name}.inp`)!, 'utf8').split('\n__ggml_vocab_test__\n');
    const lines = readFileSync(testData(`tokenizers/${name}.out`)!, 'utf8').split('\n');
    cases += inputs.length;
    test(`${name} as tokenizer.json gives the same ids in all ${inputs.length} cases`, async () => {
      const file = await openGguf(path);
      const gguf = ggufTokenizer(file) as VocabularyDefinition;
      await file.close();
      const definition = await read({ 'tokenizer.json': tokenizerJson(gguf, parts) });
      if (gguf.model === 'gpt2') expect(definition.preTokenizer).toBe(gguf.preTokenizer);
      const tokenizer = createTokenizer(definition);
      for (const [index, input] of inputs.entries()) {
        const ids = [...tokenizer.encode(input, { parseSpecial: false })];
        expect(ids.join(' '), JSON.stringify(input)).toBe((lines[index] ?? '').trim());
        const bytes = Buffer.concat(ids.map((id) => tokenizer.bytesOf(id)));
        expect(bytes.toString().trimStart()).toBe(input.trimStart());
      }
    });
  }
  test('ran where the data is', () => {
    console.log(`${cases} cases of tokenizer.json`);
    expect(cases > 0).toBe(hasTestData);
  });
});

/** Byte-level: letters, one merge, and what the test adds. */
const byteLevel = (more: object = {}) => ({
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
  added_tokens: [
    { id: 6, content: '<|begin|>', special: true },
    { id: 7, content: '<|im_end|>', special: true, rstrip: true },
    { id: 9, content: '<think>', special: true },
    { id: 10, content: '<|pad|>', special: true, lstrip: true },
  ],
  model: { type: 'BPE', vocab: { a: 0, b: 1, Ġ: 2, ab: 3, '<': 4, Ċ: 5 }, merges: ['a b'] },
  ...more,
});

test.each(['\\p{N}{1,3}', '\\p{N}', '\\p{N}{2}'])(
  'a well-known expression with %s cuts as it is written',
  async (digits) => {
    const own = (await read({ 'tokenizer.json': byteLevel({ pre_tokenizer: split(expression(digits)) }) }))
      .preTokenizer;
    const first = { type: 'Digits', individual_digits: false };
    const longer = {
      ...split(expression(digits)),
      pretokenizers: [
        ...split(expression(digits)).pretokenizers.slice(0, 1),
        first,
        { type: 'ByteLevel', use_regex: false },
      ],
    };
    const steps = (await read({ 'tokenizer.json': byteLevel({ pre_tokenizer: longer }) })).preTokenizer;
    const cutOwn = typeof own === 'string' ? preTokenizer(own) : cutter(own!);
    const cutSteps = cutter((steps as readonly SplitStep[]).slice(0, 1));
    expect(typeof own).toBe(digits.endsWith('{2}') ? 'object' : 'string');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const original = Buffer.from(text).toString();
        expect(cutOwn(original)).toEqual(cutSteps(original));
      }),
      { numRuns: 300 },
    );
  },
);

describe('the parts of a folder', () => {
  test('special tokens count in templates only, and take white space with them where they say so', async () => {
    const definition = await read({ 'tokenizer.json': byteLevel() });
    expect(encode(definition, '<|begin|>ab<|im_end|>\n a <|pad|>b', true)).toEqual([6, 3, 7, 0, 10, 1]);
    expect(definition.tokenTypes).toEqual([1, 1, 1, 1, 1, 1, 3, 3, 5, 4, 3]);
  });

  test('ends of turn come from all files, the configured one first', async () => {
    const definition = await read({
      'tokenizer.json': byteLevel(),
      'tokenizer_config.json': { eos_token: { content: '<|pad|>' } },
      'generation_config.json': { eos_token_id: [6, 10, 999] },
    });
    expect(definition.endTokenIds).toEqual([10, 6, 7]);
  });

  test.each([
    ['as the post-processor has it', {}, true],
    ['unless the configuration says no', { add_bos_token: false }, false],
    ['where the configuration names it', { bos_token: '<|begin|>' }, true],
    ['not where that is another token', { bos_token: '<|pad|>' }, false],
  ])('BOS goes before a prompt %s', async (_, config, addBos) => {
    const post_processor = {
      type: 'Sequence',
      processors: [
        { type: 'ByteLevel' },
        {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<|begin|>', type_id: 0 } }, { Sequence: { id: 'A' } }],
        },
      ],
    };
    const files = { 'tokenizer.json': byteLevel({ post_processor }), 'tokenizer_config.json': config };
    expect((await read(files)).addBos).toBe(addBos);
  });

  test.each([
    [{ 'chat_template.jinja': 'own', 'tokenizer_config.json': { chat_template: 'other' } }, 'own'],
    [{ 'tokenizer_config.json': { chat_template: 'configured' } }, 'configured'],
    [
      {
        'tokenizer_config.json': {
          chat_template: [
            { name: 'rag', template: 'r' },
            { name: 'default', template: 'd' },
          ],
        },
      },
      'd',
    ],
    [{ 'chat_template.json': { chat_template: 'apart' } }, 'apart'],
    [{}, undefined],
  ])('the chat template of %j', async (files, template) => {
    expect((await read({ 'tokenizer.json': byteLevel(), ...files })).chatTemplate).toBe(template);
  });

  test('tokens without an embedding are left out', async () => {
    const definition = await read({ 'tokenizer.json': byteLevel(), 'config.json': { vocab_size: 9 } });
    expect(definition.tokens).toHaveLength(9);
  });

  test('a folder without a tokenizer has none, one in another format is refused', async () => {
    expect(await readTokenizerJson(folderOf({}))).toBeUndefined();
    await expect(read({ 'tokenizer.model': 'x' })).rejects.toThrow(/tokenizer\.model is not read; get tokenizer\.json/);
  });
});

describe('Unigram and WordPiece', () => {
  const vocab = [
    ['<unk>', 0],
    ['▁a', -1],
    ['▁', -2],
    ['a', -3],
    ['b', -3],
    ['▁▁', -2.5],
  ];
  const unigram = (more: object) => ({
    added_tokens: [{ id: 0, content: '<unk>', special: true }],
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 0, vocab },
    ...more,
  });

  test('Metaspace cuts before each space and prepends none to a space', async () => {
    const definition = await read({ 'tokenizer.json': unigram({}) });
    expect(encode(definition, 'a b')).toEqual([1, 2, 4]);
    expect(encode(definition, ' a')).toEqual([1]);
    expect(encode(definition, 'a  b')).toEqual([1, 2, 2, 4]);
  });

  test('words that were cut at spaces have one space each', async () => {
    const pre_tokenizer = {
      type: 'Sequence',
      pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', add_prefix_space: true }],
    };
    const definition = await read({ 'tokenizer.json': unigram({ pre_tokenizer }) });
    expect(encode(definition, ' a \n b\t')).toEqual([1, 2, 4]);
  });

  test('compiled rules, Strip and Replace change text in their order', async () => {
    const precompiled_charsmap = Buffer.from(encodeCharsmap({ A: 'a' })).toString('base64');
    const normalizer = {
      type: 'Sequence',
      normalizers: [
        { type: 'Precompiled', precompiled_charsmap },
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
      ],
    };
    const definition = await read({ 'tokenizer.json': unigram({ normalizer }) });
    expect(encode(definition, 'A   b  ')).toEqual([1, 2, 4]);
  });

  test('WordPiece reads words as BERT does', async () => {
    const definition = await read({
      'tokenizer.json': {
        added_tokens: [
          { id: 0, content: '[UNK]', special: true },
          { id: 1, content: '[CLS]', special: true },
          { id: 2, content: '[SEP]', special: true },
        ],
        normalizer: {
          type: 'BertNormalizer',
          clean_text: true,
          handle_chinese_chars: true,
          strip_accents: null,
          lowercase: true,
        },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '[CLS]' } }, { Sequence: {} }] },
        model: {
          type: 'WordPiece',
          unk_token: '[UNK]',
          continuing_subword_prefix: '##',
          max_input_chars_per_word: 100,
          vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, play: 3, '##ing': 4, '!': 5, e: 6 },
        },
      },
    });
    expect(encode(definition, 'Playing É! xyz')).toEqual([3, 4, 6, 5, 0]);
    expect(definition).toMatchObject({ model: 'bert', addBos: true, bosTokenId: 1 });
  });
});

describe('what is not supported is named', () => {
  test.each([
    [{ normalizer: { type: 'Nmt' } }, /"Nmt"/],
    [{ pre_tokenizer: { type: 'UnicodeScripts' } }, /"UnicodeScripts"/],
    [{ pre_tokenizer: null }, /BPE needs ByteLevel/],
    [{ model: { type: 'WordLevel', vocab: {} } }, /"WordLevel"/],
    [{ model: { type: 'BPE', vocab: {}, merges: [], end_of_word_suffix: '</w>' } }, /end_of_word_suffix/],
    [{ model: { type: 'BPE', vocab: { a: 0 }, merges: ['a'] } }, /merges\[0\]/],
    [{ model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }, /id -1/],
    [{ model: { type: 'BPE', vocab: { a: 1e9 }, merges: [] } }, /id 1000000000/],
    [{ model: { type: 'BPE' } }, /model\.vocab/],
    [{ model: { type: 'Unigram', vocab: [['a']] } }, /model\.vocab\[0\]/],
    [{ added_tokens: [{ id: 0, content: 'a', single_word: true }] }, /single_word/],
  ])('%j', async (parts, reason) => {
    await expect(read({ 'tokenizer.json': byteLevel(parts) })).rejects.toThrow(reason);
  });
});

/** Every value within a JSON value, by its path. */
const pathsOf = (value: unknown, path: readonly string[] = []): (readonly string[])[] => [
  path,
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))
    : []),
];

const withValue = (value: unknown, [key, ...rest]: readonly string[], junk: unknown): unknown => {
  if (key === undefined) return junk;
  const copy: Record<string, unknown> = Array.isArray(value) ? ([...value] as never) : { ...(value as object) };
  if (rest.length === 0 && junk === undefined) delete copy[key];
  else copy[key] = withValue(copy[key], rest, junk);
  return copy;
};

test('damaged files are refused or read, and never crash', async () => {
  const whole = {
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
        { type: 'Strip', strip_left: true, strip_right: true },
        { type: 'Precompiled', precompiled_charsmap: Buffer.from(encodeCharsmap({ A: 'a' })).toString('base64') },
      ],
    },
    pre_tokenizer: split(expression('\\p{N}')),
    post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<|begin|>' } }] },
    added_tokens: [{ id: 6, content: '<|begin|>', special: true, lstrip: true, rstrip: true }],
    model: {
      type: 'BPE',
      unk_token: 'a',
      byte_fallback: true,
      vocab: { a: 0, b: 1, Ġ: 2, ab: 3, '<': 4, Ċ: 5 },
      merges: ['a b'],
    },
  };
  const unigram = {
    added_tokens: [{ id: 0, content: '<unk>', special: true }],
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
    model: {
      type: 'Unigram',
      unk_id: 0,
      byte_fallback: false,
      vocab: [
        ['<unk>', 0],
        ['▁a', -1],
        ['a', -3],
      ],
    },
  };
  const config = { bos_token: '<|begin|>', eos_token: { content: 'a' }, add_bos_token: true, chat_template: '' };
  const samples = [whole, unigram].map((json) => ({ 'tokenizer.json': json, 'tokenizer_config.json': config }));
  const junk = [
    undefined,
    null,
    true,
    -1,
    1.5,
    1e300,
    '',
    'x',
    '(',
    '\u0000',
    [],
    [[]],
    {},
    { type: 'Sequence' },
    ['a', 'b'],
  ];
  let refused = 0;
  let runs = 0;
  for (const sample of samples) {
    expect(encode(await read(sample), 'a b', true).length).toBeGreaterThan(1);
    for (const path of pathsOf(sample).filter(({ length }) => length > 0)) {
      for (const value of junk) {
        runs++;
        const files = withValue(sample, path, value) as Record<string, unknown>;
        try {
          const definition = await readTokenizerJson(folderOf(JSON.parse(JSON.stringify(files)) as typeof files));
          if (!definition || definition.model === 'bytes') continue;
          const ids = encode(definition, definition.model === 't5' ? 'a ?b' : 'a b<|begin|>a', true);
          expect(ids.every((id) => id < definition.tokens.length)).toBe(true);
        } catch (error) {
          expect(error, `${path.join('.')} = ${JSON.stringify(value)}`).toBeInstanceOf(EngineError);
          refused++;
        }
      }
    }
  }
  console.log(`${refused} of ${runs} damaged tokenizers refused`);
  expect(refused).toBeGreaterThan(runs / 10);
});
