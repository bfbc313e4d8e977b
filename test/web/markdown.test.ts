/** The page's Markdown: what it reads, and that nothing which a model writes is lost, slow, or more than text. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Block, type Inline, parseInlines, parseMarkdown } from '../../src/web/markdown.ts';

const text = (value: string): Inline => ({ kind: 'text', text: value });
const paragraph = (...children: Inline[]): Block => ({ kind: 'paragraph', children });

const inlineText = (inlines: readonly Inline[]): string =>
  inlines.map((inline) => ('text' in inline ? inline.text : inlineText(inline.children))).join('');

/** What a reader sees. */
const visible = (blocks: readonly Block[]): string =>
  blocks
    .map((block) => {
      if (block.kind === 'rule') return '';
      if (block.kind === 'code') return block.language + block.text;
      if (block.kind === 'quote') return visible(block.blocks);
      if (block.kind === 'list') return block.items.map(visible).join('');
      return inlineText(block.children);
    })
    .join('');

describe('blocks', () => {
  test('paragraphs keep their lines', () => {
    expect(parseMarkdown('one\ntwo\r\n\r\nthree')).toEqual([paragraph(text('one\ntwo')), paragraph(text('three'))]);
  });

  test('code is what stands between its fences, whatever that is', () => {
    const source = '```ts extra\n# no heading\n\n- **no** list\n``\n```\nafter';
    expect(parseMarkdown(source)).toEqual([
      { kind: 'code', language: 'ts extra', text: '# no heading\n\n- **no** list\n``' },
      paragraph(text('after')),
    ]);
    expect(parseMarkdown('~~~~\n```\n~~~\n~~~~')).toEqual([{ kind: 'code', language: '', text: '```\n~~~' }]);
  });

  test('code that is still being written goes to the end', () => {
    expect(parseMarkdown('```py\nprint(1)\n')).toEqual([{ kind: 'code', language: 'py', text: 'print(1)\n' }]);
    expect(parseMarkdown('```')).toEqual([{ kind: 'code', language: '', text: '' }]);
  });

  test('headings, quotes and rules', () => {
    expect(parseMarkdown('## Two ##\n> a\n> - b\n---')).toEqual([
      { kind: 'heading', level: 2, children: [text('Two')] },
      {
        kind: 'quote',
        blocks: [paragraph(text('a')), { kind: 'list', firstNumber: undefined, items: [[paragraph(text('b'))]] }],
      },
      { kind: 'rule' },
    ]);
    expect(parseMarkdown('#hashtag')).toEqual([paragraph(text('#hashtag'))]);
  });

  test('lists hold lists, code and further lines', () => {
    const source = '3. a\n   more\n   - x\n   - y\n\n4. b\n   ```\n   code\n   ```\nafter';
    expect(parseMarkdown(source)).toEqual([
      {
        kind: 'list',
        firstNumber: 3,
        items: [
          [
            paragraph(text('a\nmore')),
            { kind: 'list', firstNumber: undefined, items: [[paragraph(text('x'))], [paragraph(text('y'))]] },
          ],
          [paragraph(text('b')), { kind: 'code', language: '', text: 'code' }],
        ],
      },
      paragraph(text('after')),
    ]);
  });

  test('a line that happens to begin with a number is no list within a paragraph', () => {
    expect(parseMarkdown('It was in\n1986. A year.')).toEqual([paragraph(text('It was in\n1986. A year.'))]);
    expect(parseMarkdown('Steps:\n1. one')).toHaveLength(2);
  });
});

describe('inlines', () => {
  test('code, bold and italic', () => {
    expect(parseInlines('a `b*c*` **d *e* `f`** *g*')).toEqual([
      text('a '),
      { kind: 'code', text: 'b*c*' },
      text(' '),
      {
        kind: 'strong',
        children: [text('d '), { kind: 'emphasis', children: [text('e')] }, text(' '), { kind: 'code', text: 'f' }],
      },
      text(' '),
      { kind: 'emphasis', children: [text('g')] },
    ]);
    expect(parseInlines('`` a ` b ``')).toEqual([{ kind: 'code', text: 'a ` b' }]);
  });

  test.each(['2 * 3 * 4', '**open', '* a*', 'a ` b', '***', '**', '*', '``', 'snake_case_name', '** a **'])(
    'marks without a partner stay: %s',
    (source) => {
      expect(parseInlines(source)).toEqual([text(source)]);
    },
  );

  test.each(['<b>x</b>', '<script>alert(1)</script>', '[link](javascript:alert(1))', '![i](http://x/y.png)', '&lt;'])(
    'stays text: %s',
    (source) => {
      expect(parseMarkdown(source)).toEqual([paragraph(text(source))]);
    },
  );
});

test('loses no letter of any text', () => {
  const pieces = fc.constantFrom('a', 'B7', ' ', '\n', '\n\n', '*', '**', '`', '```', '- ', '1. ', '> ', '# ', '    ');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
      const source = parts.join('');
      const letters = (value: string): string => value.replaceAll(/[^aB]/g, '');
      expect(letters(visible(parseMarkdown(source)))).toBe(letters(source));
    }),
    { numRuns: 2_000 },
  );
});

test('hostile texts take no longer than their length asks for', () => {
  const length = 60_000;
  for (const piece of [
    '*',
    '**a ',
    '`',
    '` ``',
    '> ',
    '- ',
    '-',
    '#',
    '# ',
    '~',
    '    - a\n',
    '```` `',
    ' ',
    '_',
    '1. ',
  ])
    parseMarkdown(piece.repeat(length / piece.length));
  for (const piece of ['- ', '> ', '>', '1. ']) parseMarkdown(`${piece.repeat(length)}\n`.repeat(3));
  for (const head of ['```', '#', '-', '`', '** ']) parseMarkdown(`${head}${' '.repeat(length)}\u2028x\``);
});
