import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TOKEN_TYPE, type VocabularyDefinition } from '../../../src/workers/tokenizer/definition.ts';
import { createTokenizer } from '../../../src/workers/tokenizer/tokenizer.ts';
import { encodeCharsmap } from '../../support/charsmap.ts';

const PIECES: readonly [piece: string, score: number][] = [
  ['▁', -3],
  ['a', -4],
  ['b', -4.5],
  ['ab', -5],
  ['▁a', -4.2],
  ['▁ab', -7],
  ['ba', -5.5],
  ['bab', -7.5],
  ['🦙', -6],
  ['▁▁', -4],
];

const definition = (more: Partial<VocabularyDefinition> = {}): VocabularyDefinition => ({
  model: 't5',
  tokens: ['<pad>', '</s>', '<unk>', ...PIECES.map(([piece]) => piece)],
  tokenTypes: [TOKEN_TYPE.control, TOKEN_TYPE.control, TOKEN_TYPE.unknown, ...PIECES.map(() => TOKEN_TYPE.normal)],
  scores: [0, 0, 0, ...PIECES.map(([, score]) => score)],
  endTokenIds: [1],
  addBos: false,
  addSpacePrefix: true,
  unknownTokenId: 2,
  ...more,
});

const encode = (text: string, more: Partial<VocabularyDefinition> = {}): number[] => [
  ...createTokenizer(definition(more)).encode(text, { parseSpecial: false }),
];

const scoreOf = (ids: readonly number[]): number => ids.reduce((sum, id) => sum + definition().scores![id]!, 0);

/** The best score of all ways to cut a text into pieces. */
const bestScore = (text: string): number =>
  text === ''
    ? 0
    : Math.max(
        Number.NEGATIVE_INFINITY,
        ...PIECES.filter(([piece]) => text.startsWith(piece)).map(
          ([piece, score]) => score + bestScore(text.slice(piece.length)),
        ),
      );

describe('Unigram', () => {
  test('finds the most probable of all cuts', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', ' ', '🦙'), { minLength: 1, maxLength: 10 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(text, (original) => {
        const marked = `${/[^ ]/.test(original) ? '▁' : ''}${original.replaceAll(' ', '▁')}`;
        expect(scoreOf(encode(original))).toBeCloseTo(bestScore(marked), 9);
      }),
    );
  });

  test('writes a run of unknown characters as one unknown token', () => {
    expect(encode('axyzb')).toEqual([7, 2, 5]);
  });

  test('writes unknown characters as bytes where the vocabulary has all of them', () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    const whole = definition();
    const first = whole.tokens.length;
    const tokenizer = createTokenizer({
      ...whole,
      tokens: [...whole.tokens, ...bytes],
      tokenTypes: [...whole.tokenTypes, ...bytes.map(() => TOKEN_TYPE.byte)],
      scores: [...whole.scores!, ...bytes.map(() => 0)],
    });
    const ids = [...tokenizer.encode('aé', { parseSpecial: false })];
    expect(ids).toEqual([7, first + 0xc3, first + 0xa9]);
  });

  test('merges spaces where the model does', () => {
    expect(encode('  a   b ', { mergesSpaces: true })).toEqual(encode('a b'));
    expect(encode('   ', { mergesSpaces: true })).toEqual([]);
    expect(encode('a  b')).not.toEqual(encode('a b'));
  });

  test('replaces the longest text that a compiled rule has', () => {
    const bytes = encodeCharsmap({ A: 'a', AA: 'b', é: 'ab', '\n': ' ' });
    const normalizer = [{ kind: 'charsmap', bytes } as const];
    for (const [text, plain] of [
      ['A', 'a'],
      ['AAA', 'ba'],
      ['éAx', 'abax'],
      ['a\nb', 'a b'],
      ['🦙A', '🦙a'],
    ] as const) {
      expect(encode(text, { normalizer })).toEqual(encode(plain));
    }
  });

  test('refuses compiled rules that are damaged', () => {
    const bytes = encodeCharsmap({ A: 'a' });
    for (const length of [0, 3, 4, 20]) {
      expect(() => encode('A', { normalizer: [{ kind: 'charsmap', bytes: bytes.subarray(0, length) }] })).toThrow(
        /precompiled_charsmap/,
      );
    }
  });

  test('takes a megabyte without spaces', () => {
    expect(encode('ab'.repeat(500_000)).length).toBeGreaterThan(100_000);
  });
});

describe('WordPiece', () => {
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '▁un', 'aff', 'able', '▁,', '▁我', '▁a', '▁e', 'e'];
  const bert: VocabularyDefinition = {
    model: 'bert',
    tokens,
    tokenTypes: [3, 2, 3, ...tokens.slice(3).map(() => TOKEN_TYPE.normal)],
    endTokenIds: [],
    addBos: true,
    addSpacePrefix: false,
    bosTokenId: 2,
    unknownTokenId: 1,
    maxWordCharacters: 20,
    normalizer: [
      { kind: 'replace', pattern: '\\p{C}', content: '' },
      { kind: 'nfd' },
      { kind: 'replace', pattern: '\\p{Mn}', content: '' },
      { kind: 'lowercase' },
    ],
  };
  const tokenizer = createTokenizer(bert);
  test.each([
    ['unaffable', [3, 4, 5]],
    ['UNAFFABLE, a', [3, 4, 5, 6, 8]],
    ['我a我', [7, 8, 7]],
    ['é éé', [9, 9, 10]],
    ['unknown a', [1, 8]],
    ['e'.repeat(20), [9, ...new Array<number>(19).fill(10)]],
    ['e'.repeat(21), [1]],
    [' \u200d ', []],
  ])('%j', (text, ids) => {
    expect([...tokenizer.encode(text, { parseSpecial: false })]).toEqual(ids);
  });
  test('writes words apart and pieces together', () => {
    expect(Buffer.concat([3, 4, 8].map((id) => tokenizer.bytesOf(id))).toString()).toBe(' unaff a');
  });
});
