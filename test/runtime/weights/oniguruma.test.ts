import { describe, expect, test } from 'vitest';
import { javascriptPattern } from '../../../src/runtime/weights/oniguruma.ts';

const cut = (pattern: string, text: string): string =>
  (text.match(new RegExp(javascriptPattern(pattern), 'gu')) ?? []).join('|');

const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

describe('expressions of tokenizer.json', () => {
  test.each([
    [LLAMA3, "I'LL pay 12345\n\n x_y\u0085", "I|'LL| pay| |123|45|\n\n| x|_y|\u0085"],
    [
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*",
      "a'LL 1!",
      "a|'LL|1|!",
    ],
    ['a++ab|a', 'aaab', 'a|a|a'],
    ['(?>a|ab)c|b', 'abc ac', 'b|ac'],
    ['(?i)[a-c]x|K', 'AX cx k \u212a', 'AX|cx|k|\u212a'],
    ['[\\x41-\\x43\\u4e00-\\u9fa5]+', 'ABCD我', 'ABC|我'],
    ['\\d{2}|\\w+|[^\\w\\s]+', '12ab, ٣٤', '12|ab|,|٣٤'],
    ['^a$', 'a\nb\na', 'a|a'],
    ['\\Aa|b\\z', 'aab b', 'a|b'],
    ['.+', 'a\rb\nc', 'a\rb|c'],
    ['\\p{Han}+|\\p{^L}', 'a我1', '我|1'],
    ['[]a-]+', 'b]-a', ']-a'],
    ['[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+', '.foo ]bar', '.foo|]bar'],
    ['a{,2}b', 'aaab', 'aab'],
    ['(?<=a)b|(?<!a)c', 'abacc', 'b|c'],
  ])('%s', (pattern, text, words) => {
    expect(cut(pattern, text)).toBe(words);
  });

  test.each([
    ['[\\p{L}&&[^\\p{Han}]]', /brackets within brackets/],
    ['(a)\\1', /\\1/],
    ['a\\b', /\\b/],
    ['(a', /unclosed \(/],
    ['a)', /unopened \)/],
    ['[a', /unclosed \[/],
    ['\\', /backslash at the end/],
    ['(?<name>a)', /\(\?<n/],
    ['\\p{Martian}', /cannot be used/],
  ])('%s is refused', (pattern, reason) => {
    expect(() => javascriptPattern(pattern)).toThrow(reason);
  });
});
