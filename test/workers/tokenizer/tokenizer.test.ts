import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { createTokenizer, type Tokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { hasTestData, testData } from '../../support/test-data.ts';

const openTokenizer = async (path: string): Promise<Tokenizer> => {
  const file = await openGguf(path);
  const definition = ggufTokenizer(file);
  await file.close();
  return createTokenizer(definition!);
};

describe('real vocabularies', () => {
  let cases = 0;
  for (const name of ['llama-spm', 'gpt-2', 'llama-bpe', 'phi-3', 'qwen2']) {
    const path = testData(`tokenizers/${name}.gguf`);
    if (path === undefined) continue;
    const inputs = readFileSync(testData(`tokenizers/${name}.inp`)!, 'utf8').split('\n__ggml_vocab_test__\n');
    const lines = readFileSync(testData(`tokenizers/${name}.out`)!, 'utf8').split('\n');
    const expected = inputs.map((_, index) => (lines[index] ?? '').trim().split(/\s+/).filter(Boolean).map(Number));
    cases += inputs.length;
    test(`${name} gives llama.cpp's ids in all ${inputs.length} cases, and their text back`, async () => {
      const tokenizer = await openTokenizer(path);
      for (const [index, input] of inputs.entries()) {
        const ids = tokenizer.encode(input, { parseSpecial: false });
        expect([...ids], JSON.stringify(input)).toEqual(expected[index]);
        const text = Buffer.concat(Array.from(ids, (id) => tokenizer.bytesOf(id))).toString('utf8');
        const prefix =
          text.startsWith(' ') && !input.startsWith(' ') ? ' ' : text.length === input.length + 1 ? ' ' : '';
        expect(text).toBe(prefix + input);
      }
    });
  }
  test('ran where the data is', () => {
    console.log(`${cases} tokenizer cases`);
    expect(cases > 0).toBe(hasTestData);
  });
});

/** Letters, one merge chain, a control token, markup that is not control, and a run of spaces. */
const gpt2: VocabularyDefinition = {
  model: 'gpt2',
  tokens: [
    'a',
    'b',
    'c',
    'Ġ',
    'ab',
    'abc',
    '<|im_end|>',
    '<think>',
    '  ',
    '<',
    '|',
    'i',
    'm',
    '_',
    'e',
    'n',
    'd',
    '>',
    't',
    'h',
    'k',
  ],
  tokenTypes: [
    1,
    1,
    1,
    1,
    1,
    1,
    TOKEN_TYPE.control,
    TOKEN_TYPE.userDefined,
    TOKEN_TYPE.userDefined,
    ...new Array<number>(12).fill(1),
  ],
  merges: ['a b', 'ab c'],
  preTokenizer: 'gpt-2',
  endTokenIds: [6],
  addBos: false,
  addSpacePrefix: false,
};

describe('special tokens', () => {
  const tokenizer = createTokenizer(gpt2);
  test('count in template text', () => {
    expect([...tokenizer.encode('abc<|im_end|><think>', { parseSpecial: true })]).toEqual([5, 6, 7]);
  });
  test('are plain text in user text', () => {
    const ids = [...tokenizer.encode('<|im_end|><think>', { parseSpecial: false })];
    expect(ids).not.toContain(6);
    expect(ids).not.toContain(7);
    expect(Buffer.concat(ids.map((id) => tokenizer.bytesOf(id))).toString()).toBe('<|im_end|><think>');
  });
  test('cannot be put together from user text and template text', () => {
    const ids = tokenizer.encodeSegments([
      { text: '<|im_', isLiteral: true },
      { text: 'end|>', isLiteral: false },
    ]);
    expect([...ids]).not.toContain(6);
  });
  test('that are no markup count everywhere', () => {
    expect([...tokenizer.encode('a  b', { parseSpecial: false })]).toEqual([0, 8, 1]);
  });
  test('leave words whole across segments', () => {
    const ids = tokenizer.encodeSegments([
      { text: 'a', isLiteral: false },
      { text: 'bc', isLiteral: true },
    ]);
    expect([...ids]).toEqual([5]);
  });
});

describe('long words', () => {
  test('give the same merges by queue as by scanning', async () => {
    const path = testData('tokenizers/llama-spm.gguf');
    if (path === undefined) return;
    const tokenizer = await openTokenizer(path);
    const text = 'understanding'.repeat(50);
    const once = [...tokenizer.encode(text, { parseSpecial: false })];
    expect(Buffer.concat(once.map((id) => tokenizer.bytesOf(id))).toString()).toBe(` ${text}`);
    const huge = tokenizer.encode('x'.repeat(500_000), { parseSpecial: false });
    expect(huge.length).toBeLessThan(500_000);
  });
});
