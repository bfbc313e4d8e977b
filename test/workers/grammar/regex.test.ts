/** Sentences decoded at random under a pattern's grammar match it by JavaScript's own RegExp, and what that matches is a sentence. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededNumbers } from '../../../bench/seeded-numbers.ts';
import { schemaGrammar } from '../../../src/workers/grammar/json-schema.ts';
import { regexGrammar } from '../../../src/workers/grammar/regex.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

const random = seededNumbers(7);

const PATTERNS: readonly string[] = [
  'abc',
  'a*b+c?',
  'a{2}b{1,3}c{2,}',
  'a+?b*?c??d{1,2}?',
  '(ab|cd)*e',
  '(?:x|(?<name>yz)){2}',
  '[a-c0-9_-]+',
  '[^a-z"\\\\]{1,4}',
  '[\\d\\s.]{3}',
  '\\d\\D\\w\\W\\s\\S',
  '\\x41\\u0042\\u{43}\\t\\n\\cA\\0',
  '[\\u00e9-\\u0200]{2}',
  '[\\u{1F600}-\\u{1F64F}]\\ud83d\\ude00',
  '\\.\\*\\/[\\-]\\{\\}\\[\\]\\(\\)\\|\\^\\$\\\\',
  '.{2,4}',
  '(a|ab)(c|bcd)(d*)',
  '^abc$',
  '^a|b$',
  'a^b|c',
  '(^a|b)(c|d$)',
  '',
  '[^]',
  '"(?:[^"\\\\]|\\\\.)*"',
  '(a*)*b',
  '((a|b)?c){0,3}',
  '[\\]\\-^]+',
  '[a\\-z]',
  '日本[語人]+',
];

/** Texts for every pattern: some made for it, some near it. */
const SUBJECTS: readonly string[] = [
  ...[
    '',
    'abc',
    'b',
    'aab',
    'aabcc',
    'abd',
    'e',
    'abcde',
    'xyz',
    'yzx',
    'a-0',
    'Z..',
    '1 .',
    '1aa  b',
    'AB',
    'éĀ',
    '😀😀',
  ],
  ...[
    '.*/-{}[]()|^$\\',
    'ab\n',
    'a\u2028',
    '\r',
    'acd',
    'abcd',
    'abbcd',
    'ac',
    'bd',
    'bc',
    'xbd',
    '""',
    '"a\\"b"',
    '"a"b',
  ],
  ...['aaab', 'aaa', 'bcc', 'c', '^]-', 'z', '-', '日本語人', '日本', 'AB C\t\n\u0001\0', '\u0000', '\ufeff', 'é'],
];

const wholeMatch = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, 'u');

/** @returns how many random sentences came to an end */
const sentencesMatch = async (grammar: TestGrammar, fits: (sentence: string) => boolean): Promise<number> => {
  let numEnded = 0;
  for (let i = 0; i < 6; i++) {
    const sentence = await grammar.sentence(random, 90);
    if (sentence === undefined) continue;
    numEnded++;
    expect(fits(sentence), JSON.stringify(sentence)).toBe(true);
  }
  return numEnded;
};

describe('a grammar of a regular expression', () => {
  test.each(PATTERNS)('%j from end to end', async (pattern) => {
    const expected = wholeMatch(pattern);
    // Among other formats a grammar keeps it; alone it is an automaton.
    const joined = await TestGrammar.compile(regexGrammar(pattern, 'regex'));
    for (const grammar of [joined, await TestGrammar.compileFormat({ type: 'regex', pattern })]) {
      expect(await sentencesMatch(grammar, (sentence) => expected.test(sentence))).toBeGreaterThan(0);
      for (const subject of SUBJECTS)
        expect(await grammar.accepts(subject), JSON.stringify(subject)).toBe(expected.test(subject));
      grammar.dispose();
    }
  });

  test.each(PATTERNS)('%j anywhere in a JSON string', async (pattern) => {
    const expected = new RegExp(pattern, 'u');
    const schema = { type: 'string', pattern };
    const alone = await TestGrammar.compile(schemaGrammar(schema, 'schema'));
    for (const grammar of [alone, await TestGrammar.compileFormat({ type: 'json_schema', json_schema: schema })]) {
      // Random texts seldom hold a word, so that some patterns' walks end nowhere.
      await sentencesMatch(grammar, (sentence) => expected.test(JSON.parse(sentence) as string));
      for (const subject of SUBJECTS) {
        expect(await grammar.accepts(JSON.stringify(subject)), JSON.stringify(subject)).toBe(expected.test(subject));
      }
      grammar.dispose();
    }
  });

  test('made at random agrees with RegExp', async () => {
    const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', '\\d', '"', '\\\\', 'é', '(a|bc)', '(?:b|)', '^', '$');
    const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,3}');
    const piece = fc.tuple(atom, quantifier).map(([what, times]) => (/^[\^$]$/.test(what) ? what : what + times));
    const patterns = fc
      .array(fc.array(piece, { maxLength: 4 }), { minLength: 1, maxLength: 2 })
      .map((choices) => choices.map((pieces) => pieces.join('')).join('|'));
    const subjects = fc.array(
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '"', '\\', 'é', '\n'), maxLength: 5 }),
      { minLength: 12, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(patterns, subjects, async (pattern, texts) => {
        const expected = new RegExp(pattern, 'u');
        let ebnf: string;
        try {
          ebnf = schemaGrammar({ type: 'string', pattern }, 'schema');
        } catch (error) {
          // Nothing matches, such as "a^": no text of ours may either.
          expect(String(error)).toMatch(/no finite value/);
          expect(texts.some((text) => expected.test(text))).toBe(false);
          return;
        }
        const format = { type: 'json_schema', json_schema: { type: 'string', pattern } } as const;
        for (const grammar of [await TestGrammar.compile(ebnf), await TestGrammar.compileFormat(format)]) {
          for (const text of texts)
            expect(await grammar.accepts(JSON.stringify(text)), JSON.stringify(text)).toBe(expected.test(text));
          const sentence = await grammar.sentence(random);
          if (sentence !== undefined) expect(expected.test(JSON.parse(sentence) as string)).toBe(true);
          grammar.dispose();
        }
      }),
      { seed: 11, numRuns: 60 },
    );
  });

  test('of many repetitions', async () => {
    const grammar = await TestGrammar.compile(regexGrammar('[a-z_]{3,900}', 'regex'));
    expect(await grammar.accepts('a'.repeat(900))).toBe(true);
    expect(await grammar.accepts('a'.repeat(901))).toBe(false);
    expect(await grammar.accepts('aa')).toBe(false);
    grammar.dispose();
  });

  test('alone gives what has no alternative', async () => {
    const grammar = await TestGrammar.compileFormat({ type: 'regex', pattern: 'é1-(ab|ac){2}z' });
    expect(await grammar.forcedText('')).toBe('é1-a');
    expect(await grammar.forcedText('é1-ab')).toBe('a');
    expect(await grammar.forcedText('é1-abac')).toBe('z');
    expect(await grammar.forcedText('é1-abacz')).toBe('');
    grammar.dispose();
  });
});

const REFUSED: readonly (readonly [pattern: string, message: RegExp])[] = [
  ['(?=a)b', /lookaround.*character 1/],
  ['a(?!b)', /lookaround.*character 2/],
  ['(?<=a)b', /lookaround/],
  ['(?<!a)b', /lookaround/],
  ['(a)\\1', /backreference at character 4/],
  ['(?<n>a)\\k<n>', /backreference/],
  ['\\bword\\b', /\\b at character 1; word boundaries/],
  ['\\p{L}+', /\\p\{…\} at character 1.*ranges/],
  ['(?i:a)', /group with flags/],
  ['(a', /not closed at character 3/],
  ['a)', /unmatched \) at character 2/],
  ['[a', /class that is not closed/],
  ['*a', /nothing to repeat at character 1/],
  ['a**', /two quantifiers/],
  ['a{2,1}', /out of order/],
  ['a{1001}', /more than 1000 repetitions/],
  ['a{x', /begins no quantifier/],
  ['[z-a]', /out of order/],
  ['[\\d-z]', /range whose end is a class/],
  ['\\q', /unknown escape \\q/],
  ['\\u12', /hexadecimal digits/],
  ['\\ud800', /half of a surrogate pair/],
  ['a\\', /\\ at its end/],
  ['a^', /no text matches/],
  ['((a{500}){500}){500}', /too large/],
  ['(.{300}x|y){300}', /too large/],
];

describe('a regular expression that cannot be kept', () => {
  test.each(REFUSED)('%j', (pattern, message) => {
    expect(() => regexGrammar(pattern, 'regex')).toThrow(message);
    expect(() => regexGrammar(pattern, 'regex')).toThrow(
      expect.objectContaining({ code: 'invalid_request', details: { param: 'regex' } }),
    );
  });

  test('is refused when its groups are nested too deeply', () => {
    expect(() => regexGrammar('('.repeat(5000) + ')'.repeat(5000), 'regex')).toThrow(/more than 100 nested groups/);
  });
});
