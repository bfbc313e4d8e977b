import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { preTokenizer } from '../../../src/workers/tokenizer/pre-tokenizers.ts';
import { cutter } from '../../../src/workers/tokenizer/split.ts';

/** One text and how each vocabulary's published expressions cut it. */
const CUTS: readonly [name: string, text: string, words: string][] = [
  ['gpt-2', "I'll pay 1234  \n x", "I|'ll| pay| 1234|  \n| x"],
  ['llama-bpe', "I'LL pay 12345\n\n x_y", "I|'LL| pay| |123|45|\n\n| x|_y"],
  ['dbrx', '12345', '123|45'],
  ['qwen2', 'a 12\n', 'a| |1|2|\n'],
  ['qwen2', 'កាន់', 'ក|ាន|់'],
  ['qwen35', 'កាន់ !', 'កាន់| !'],
  ['gpt-4o', "camelCaseHTTPServer's 1234 x//\n", "camel|Case|HTTPServer's| |123|4| x|//\n"],
  ['tekken', "camelCase's 12", "camel|Case|'s| |1|2"],
  ['deepseek-llm', 'Hi, a  12\n我b', 'Hi|,| a|  |12|\n|我|b'],
  ['deepseek-coder', 'Hi, a_b  12\n', 'Hi|,| a|_|b|  |1|2|\n'],
  ['deepseek-v3', 'x=1234 .foo(我的)', 'x|=|123|4| .|foo|(|我的|)'],
  ['falcon', 'a+b `c` 12345 $', 'a|+|b| |`|c|`| |123|45| |$'],
  ['starcoder', 'a 12  b', 'a| |1|2| | b'],
  ['refact', 'a 12', 'a| |1|2'],
  ['command-r', "we've 12", "we|'ve| |1|2"],
  ['smollm', 'a12', 'a|1|2'],
  ['mpt', 'a 12   b', 'a| 12|  | b'],
  ['phi-2', 'a\n\nb', 'a|\n|\n|b'],
  ['olmo', 'a\tb', 'a|\t|b'],
  ['default', 'a+b 12345', 'a|+|b| |123|45'],
];

test.each(CUTS)('%s cuts %j', (name, text, words) => {
  expect(preTokenizer(name)(text).join('|')).toBe(words);
});

const NAMES = [...new Set(CUTS.map(([name]) => name))];

test.each(NAMES)('%s loses nothing', (name) => {
  const cut = preTokenizer(name);
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc
      .array(fc.constantFrom(' ', '  ', '\n', '\r', '\t', 'a', 'Ab', "'s", '12', '.', '我', 'é', 'ា', '🦙', '\u0085'))
      .map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (original) => {
      expect(cut(original).join('')).toBe(original);
    }),
    { numRuns: 200 },
  );
});

test.each(NAMES)('%s cuts megabytes of one kind of character', (name) => {
  const cut = preTokenizer(name);
  for (const character of ['a', 'A', ' ', '\n', '1', '.', '我', '🦙', ' a']) {
    const text = character.repeat(1_000_000 / character.length);
    expect(cut(`${text}x`).join('').length).toBe(text.length + 1);
  }
});

test('an unknown name is refused with the names there are', () => {
  expect(() => preTokenizer('martian')).toThrow(/"martian"; supported are gpt-2, llama-bpe/);
});

describe('split steps', () => {
  const text = 'a-b--c';
  test.each([
    ['isolated', false, 'a|-|b|-|-|c'],
    ['removed', false, 'a|b|c'],
    ['removed', true, '-|-|-'],
    ['mergedWithPrevious', false, 'a-|b-|-|c'],
    ['mergedWithNext', false, 'a|-b|-|-c'],
    ['contiguous', false, 'a|-|b|--|c'],
  ] as const)('%s, inverted %s', (behavior, invert, words) => {
    expect(cutter([{ pattern: '-', behavior, invert }])(text).join('|')).toBe(words);
  });
});
