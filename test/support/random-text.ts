/** Random text with far more of what tokenizers trip over than chance has. */
import fc from 'fast-check';

const WORDS = 'the a I of und été naïve straße ΟΔΥΣΣΕΎΣ Москва İstanbul ǅ ﬁn x86_64 JSONValue camelCase'.split(' ');
const CONTRACTIONS = "'s 'S 't 're 'RE 've 'll 'LL 'd 'm 'ſ 'x ’s don't I'LL we'Ve".split(' ');
const SPACES = [
  ' ',
  '  ',
  '   ',
  '\n',
  '\r\n',
  '\n\n',
  '\t',
  '\u00a0',
  '\u3000',
  '\u2009',
  '\u0085',
  '\u200b',
  '\ufeff',
];
const DIGITS = ['0', '7', '12', '345', '2024', '1234567', '٣٤', '²', '½', 'Ⅷ', '１２', '3.14', '1,000'];
const SCRIPTS = [
  '漢字',
  '日本語テキスト',
  '한국어',
  '각',
  'العربية',
  'שלום',
  'हिन्दी',
  'ไทย',
  '﷽',
  'ﾊﾟ',
  '，。',
  '「」',
  '𠮷',
  '龦',
];
const MARKS = [
  'e\u0301',
  'a\u0323\u0302',
  '\u0301',
  'Å',
  'A\u030a',
  '\u1100\u1161',
  '\u0e33',
  '\u20dd',
  '\u0345',
  '\u093c',
];
const EMOJI = ['🦙', '👩‍👩‍👧', '🏳️‍🌈', '👍🏽', '🇩🇪', '☃', '❤️', '#️⃣'];
const PUNCTUATION = [
  '.',
  ',',
  '!?',
  '...',
  '…',
  '—',
  '(',
  ')',
  '[]',
  '{}',
  '/',
  '//',
  '\\',
  '"',
  '`',
  '~',
  '$',
  '+',
  '<',
  '>',
  '|',
  '^',
  '=',
  '_',
  '__',
  '€',
  '¿',
];
const CONTROLS = [
  '\u0000',
  '\u0007',
  '\u001b',
  '\u007f',
  '\u00ad',
  '\u2028',
  '\u202e',
  '\ufffd',
  '\ufffe',
  '\u{e0001}',
  '\u{10ffff}',
];
const LOOKALIKES = [
  '<s>',
  '</s>',
  '<unk>',
  '<0x41>',
  '<0x0A>',
  '▁',
  '▁▁',
  'Ġ',
  'Ċ',
  '##ing',
  '[CLS]',
  '[UNK]',
  '<|im_end|>',
  '<|im_end',
  '|>',
  '<think>',
  '<|pad|>',
  '< s>',
  '<pad>',
];
const SURROGATES = ['\ud83e', '\udd99', '\ud800\ud800', '\udfff\ud800'];

export const randomText: fc.Arbitrary<string> = fc.oneof(
  fc
    .array(
      fc.oneof(
        ...[
          WORDS,
          CONTRACTIONS,
          SPACES,
          DIGITS,
          SCRIPTS,
          MARKS,
          EMOJI,
          PUNCTUATION,
          CONTROLS,
          LOOKALIKES,
          SURROGATES,
        ].map((texts) => fc.constantFrom(...texts)),
        fc.constantFrom(' the', ' of', ' a', ' ', 'ing', 'tion', 's'),
      ),
      { maxLength: 24 },
    )
    .map((parts) => parts.join('')),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(...' \n\t\r\u00a0a1.'), maxLength: 30 }),
);
