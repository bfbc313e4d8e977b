import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openGguf } from '../../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../../src/runtime/weights/gguf-tokenizer.ts';
import type { VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { preTokenizer } from '../../../src/workers/tokenizer/pre-tokenizers.ts';
import { createTokenizer, type Tokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { smallVocabulary } from '../../support/small-vocabulary.ts';
import { testData } from '../../support/test-data.ts';

const WORDS = [
  'the',
  ' The',
  " don't",
  ' x',
  'y ',
  '  ',
  '\n',
  ' \n ',
  '\t',
  ' 123',
  '4567',
  '.',
  ' ...',
  '我',
  'é',
  '🦙',
  ' über',
  ' iPhone',
  'HTTPServer',
  "'s",
  '<s>',
  '<|end|>',
  '<|eot_id|>',
  '_',
  '/',
  ' //\n',
  '\u0085',
  '▁',
  '\u0301',
];
const text = fc.array(fc.constantFrom(...WORDS), { minLength: 10, maxLength: 120 }).map((all) => all.join(''));

const inParts = (tokenizer: Tokenizer, original: string, partLength: number): number[] =>
  tokenizer
    .parts([{ text: original, isLiteral: false }], partLength)
    .flatMap((part) => [...tokenizer.encodePart(part)]);

describe.each(['gpt-2', 'llama-bpe', 'qwen2', 'llama-spm', 'phi-3'])('%s', (name) => {
  const path = testData(`tokenizers/${name}.gguf`);
  test.runIf(path)('gives a long prompt in parts the tokens of the whole', async () => {
    const file = await openGguf(path!);
    const tokenizer = createTokenizer(ggufTokenizer(file)!);
    await file.close();
    let mostParts = 0;
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 60 }), (original, partLength) => {
        mostParts = Math.max(mostParts, tokenizer.parts([{ text: original, isLiteral: false }], partLength).length);
        expect(inParts(tokenizer, original, partLength)).toEqual([
          ...tokenizer.encode(original, { parseSpecial: true }),
        ]);
      }),
      { numRuns: 200 },
    );
    expect(mostParts).toBeGreaterThan(1);
  });
});

test.each([
  'gpt-2',
  'llama-bpe',
  'dbrx',
  'qwen2',
  'qwen35',
  'gpt-4o',
  'tekken',
  'deepseek-llm',
  'deepseek-coder',
  'deepseek-v3',
  'falcon',
  'starcoder',
  'default',
])('%s cuts at every border of a prompt', (name) => {
  const cut = preTokenizer(name);
  fc.assert(
    fc.property(text, (original) => {
      const parts = original.split(/(?<=[a-z])(?= [A-Za-z])/);
      expect(parts.flatMap((part) => cut(part))).toEqual(cut(original));
    }),
    { numRuns: 300 },
  );
});

describe('a prompt stays whole', () => {
  const numParts = (definition: VocabularyDefinition, original: string): number =>
    createTokenizer(definition).parts([{ text: original, isLiteral: true }], 4).length;
  const long = 'ab ab ab ab ab ab';
  test('where it has no border', () => {
    expect(numParts(smallVocabulary(), long)).toBeGreaterThan(2);
    expect(numParts(smallVocabulary(), 'ab'.repeat(20))).toBe(1);
  });
  test('where a token could cross one', () => {
    const vocabulary = smallVocabulary();
    const crossing = {
      tokens: [...vocabulary.tokens, 'b▁a'],
      tokenTypes: [...vocabulary.tokenTypes, 1],
      scores: [...vocabulary.scores!, 0],
    };
    expect(numParts(smallVocabulary(crossing), long)).toBe(1);
    expect(numParts(smallVocabulary({ normalizer: [{ kind: 'replace', pattern: 'b a', content: '' }] }), long)).toBe(1);
  });
});
