/** Automata as grammar rules: plain, or as the characters of a JSON string. */
import type { Automaton, Edge, State } from './automaton.ts';
import { ALL, type CodePoints, count, intersect, rangesOf, subtract, utf8 } from './code-points.ts';
import { byteClass, literal, type Ref, type RuleBook, type Sequence } from './rule-book.ts';

/** How characters are written: as they are, or escaped as in a JSON string, which the closing quote ends. */
export type Spelling = 'plain' | 'json';

/** An edge with more characters than this costs the compiler a look at most of the vocabulary. */
const BROAD = 24;
/**
 * So many states with broad edges are compiled as they are, which makes the fastest masks. With more of them, broad
 * edges go through rules that states share: compiled once, though their tokens are then checked while text is made.
 */
const MAX_BROAD_STATES = 6;

const ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};
/** What JSON wants escaped. */
export const ESCAPED: CodePoints = [
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
];
/** What JSON wants escaped, one by one. */
export const escapedCodes = ESCAPED.flatMap(([low, high]) => Array.from({ length: high - low + 1 }, (_, i) => low + i));
const ASCII = rangesOf('\u0000\u007f');

/** How JSON writes a character that it wants escaped. */
export const escapeOf = (code: number): string => ESCAPES[code] ?? `\\u${code.toString(16).padStart(4, '0')}`;

export const isBroad = ({ on }: Edge): boolean => count(on) > BROAD;

/** Alternatives that are one unescaped character of the set each. */
const characters = (set: CodePoints): Sequence[] => {
  const spelled = utf8(set);
  const oneByte = spelled.filter((bytes) => bytes.length === 1).flat();
  const longer = spelled.filter((bytes) => bytes.length > 1);
  return [
    ...(oneByte.length > 0 ? [[byteClass(oneByte)]] : []),
    ...longer.map((bytes) => bytes.map((range) => byteClass([range]))),
  ];
};

/** Alternatives that are one character of the set each; those of many bytes are behind references. */
const spellings = (book: RuleBook, set: CodePoints, spelling: Spelling): Sequence[] => {
  const escaped = spelling === 'json' ? intersect(set, ESCAPED) : [];
  const codes = escaped.flatMap(([low, high]) => Array.from({ length: high - low + 1 }, (_, i) => low + i));
  const plain = spelling === 'json' ? subtract(set, ESCAPED) : set;
  const beyondAscii = subtract(plain, ASCII);
  return [
    ...characters(intersect(plain, ASCII)),
    ...(beyondAscii.length > 0 ? [[book.rule('character', characters(beyondAscii))]] : []),
    ...(codes.length > 0
      ? [
          [
            book.rule(
              'escaped',
              codes.map((code) => [literal(escapeOf(code))]),
            ),
          ],
        ]
      : []),
  ];
};

/** Whatever may follow in a JSON string, and the quote that ends it. */
export const stringTail = (book: RuleBook): Ref =>
  book.once('tail', () => {
    const tail = book.reserve('tail');
    const hex = '[0-9a-fA-F]';
    // One character each: no lone half of a surrogate pair.
    const code = book.rule('code', [
      ['[0-9a-cA-CefEF]', hex, hex, hex],
      ['[dD]', '[0-7]', hex, hex],
      ['[dD]', '[89abAB]', hex, hex, literal('\\u'), '[dD]', '[c-fC-F]', hex, hex],
    ]);
    const escaped = book.rule('escape', [['["\\\\/bfnrt]'], ['"u"', code]]);
    const plain = spellings(book, subtract(ALL, ESCAPED), 'json');
    book.define(tail, [['"\\""'], ...plain.map((sequence) => [...sequence, tail]), [literal('\\'), escaped, tail]]);
    return tail;
  });

/** Parts of ASCII that names tell apart: a token's first letter says in which one it is. */
const BLOCKS: readonly CodePoints[] = ['09', 'AM', 'NZ', 'ad', 'eh', 'il', 'mp', 'qt', 'uz'].map(rangesOf);

/**
 * Alternatives that are one character of a set, and then whatever may follow. What lies in the set whole is behind rules
 * that all sets share, since each state with many characters of its own costs the compiler a look at the vocabulary.
 */
const anyAfter = (book: RuleBook, set: CodePoints): Sequence[] => {
  const tail = stringTail(book);
  const rest = BLOCKS.reduce(subtract, subtract(set, ESCAPED));
  const blocks = [...BLOCKS, intersect(rest, ASCII), subtract(rest, ASCII), intersect(set, ESCAPED)];
  return blocks.flatMap((block): Sequence[] => {
    const part = intersect(block, set);
    if (part.length === 0) return [];
    // Not behind references: xgrammar looks ahead of a rule only where one place refers to it.
    const escapes = escapedCodes.filter((code) => intersect(part, [[code, code]]).length > 0);
    const heads = [...characters(subtract(part, ESCAPED)), ...escapes.map((code) => [literal(escapeOf(code))])];
    const sequences = heads.map((head) => [...head, tail]);
    return count(part) === count(block) ? [[book.rule('any_after', sequences)]] : sequences;
  });
};

/** Any one character of a JSON string. */
export const jsonCharacter = (book: RuleBook): Ref => book.rule('character', spellings(book, ALL, 'json'));

/** Nothing. xgrammar writes out rules without references where they stand; behind this one, a rule stays one rule. */
const apart = (book: RuleBook): Ref => book.rule('apart', [[]]);

const NUM_CHARACTERS = count(ALL);

const isUniversal = (automaton: Automaton, state: number): boolean => {
  const [edge, ...more] = automaton[state]?.edges ?? [];
  return (
    automaton[state]?.accepts === true && more.length === 0 && edge?.to === state && count(edge.on) === NUM_CHARACTERS
  );
};

/** The rule of an automaton's texts; with `json`, behind the opening quote and up to and with the closing one. */
export const automatonRule = (book: RuleBook, automaton: Automaton, spelling: Spelling): Ref =>
  book.once(`${spelling} ${JSON.stringify(automaton)}`, () => {
    const isTail = (state: number) => spelling === 'json' && isUniversal(automaton, state);
    const isBroadState = ({ edges }: State) => edges.some((edge) => isBroad(edge) && !isTail(edge.to));
    const isShared = automaton.filter(isBroadState).length > MAX_BROAD_STATES;
    const refs = automaton.map((_, state) => (isTail(state) ? stringTail(book) : book.reserve('state')));
    const follow = (state: number): Sequence => {
      const isOver = spelling === 'plain' && automaton[state]?.edges.length === 0;
      return isOver ? [] : [refs[state] as Ref];
    };
    const alternatives = (edge: Edge): Sequence[] => {
      if (isTail(edge.to)) return anyAfter(book, edge.on);
      const found = spellings(book, edge.on, spelling);
      const heads =
        isShared && isBroad(edge)
          ? [
              [
                book.rule(
                  'character',
                  found.map((head) => [...head, apart(book)]),
                ),
              ],
            ]
          : found;
      return heads.map((head) => [...head, ...follow(edge.to)]);
    };
    for (const [state, { accepts, edges }] of automaton.entries()) {
      if (isTail(state)) continue;
      const end: Sequence[] = accepts ? [spelling === 'json' ? ['"\\""'] : []] : [];
      book.define(refs[state] as Ref, [...end, ...edges.flatMap(alternatives)]);
    }
    return refs[0] as Ref;
  });
