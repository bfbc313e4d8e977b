/** Grammars that requests bring let through what they say, also where xgrammar by itself joins their alternatives wrongly. */
import { expect, test } from 'vitest';
import { seededNumbers } from '../../../bench/seeded-numbers.ts';
import { withApartAlternatives } from '../../../src/workers/grammar/brought-grammar.ts';
import { TestGrammar } from '../../support/xgrammar.ts';

const compile = (grammar: string) => TestGrammar.compileFormat({ type: 'grammar', grammar, path: 'grammar' });

/** All words of two letters up to a length. */
const words = (length: number): string[] =>
  length === 0
    ? ['']
    : words(length - 1).flatMap((word) => (word.length === length - 1 ? [word, `${word}a`, `${word}b`] : [word]));

test('words that begin and end alike', async () => {
  const random = seededNumbers(6);
  const word = (): string =>
    Array.from({ length: 1 + Math.floor(random() * 6) }, () => (random() < 0.8 ? 'a' : 'b')).join('');
  const all = words(8);
  for (let i = 0; i < 12; i++) {
    const some = [...new Set(Array.from({ length: 2 + Math.floor(random() * 3) }, word))];
    const grammar = await compile(
      `root ::= word end\nword ::= ${some.map((each) => `"${each}"`).join(' | ')}\nend ::= "" | "bb"\n`,
    );
    const expected = new Set(some.flatMap((each) => [each, `${each}bb`]));
    for (const text of all) expect(await grammar.accepts(text), `${some}: ${text}`).toBe(expected.has(text));
    grammar.dispose();
  }
});

const CASES: readonly (readonly [grammar: string, yes: readonly string[], no: readonly string[]])[] = [
  [
    'root ::= ("=" | "==" | "===")+ [0-9]{2,4} tail?\ntail ::= x{2,200} | [^\\]"\\n=]* "\\x41" (= "q")\nx ::= "x" | "xx"\n',
    ['=12', '=====123', '===1234xx', `=12${'x'.repeat(300)}`, '=12abA'],
    ['=1', '12', '=12345', '=12x', '=12a]A'],
  ],
  [
    'root ::= list\nlist ::= "[" "]" | "[" item ("," item)* "]"\nitem ::= list | "é\\"\\\\" | "é"\n',
    ['[]', '[é]', '[é"\\,[é,[]]]'],
    ['[', '[é,]', 'é', '[[é]'],
  ],
  [
    'root ::= a | b\na ::= "on" | "off"\nb ::= "one" [a-z]* | "o"\n',
    ['on', 'off', 'one', 'oneself', 'o'],
    ['of', 'of f', 'onself'],
  ],
];

test.each(CASES)('%j', async (text, yes, no) => {
  const grammar = await compile(text);
  for (const each of yes) expect(await grammar.accepts(each), each).toBe(true);
  for (const each of no) expect(await grammar.accepts(each), each).toBe(false);
  grammar.dispose();
});

test('stays as it is where its alternatives begin differently', () => {
  expect(withApartAlternatives('root ::= (("a" root) | ("b"))\n')).toBeUndefined();
  expect(withApartAlternatives('root ::= something else\n')).toBeUndefined();
});
