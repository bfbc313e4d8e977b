/** Small tokenizer.json files with the parts of published ones, their vocabularies trained on random text. */
import fc from 'fast-check';
import { BYTE_CHARACTERS } from '../../src/workers/tokenizer/byte-alphabet.ts';
import { randomText } from './random-text.ts';
import { seededRandom } from './random-weights.ts';

type Json = Readonly<Record<string, unknown>>;

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const words = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
const wordsWithCapitals = (suffix: string, digits: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${suffix}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;

const split = (Regex: string): Json => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const DIGIT = { type: 'Digits', individual_digits: true };
const DIGITS = { type: 'Digits', individual_digits: false };
const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const GPT2 = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const sequence = (...pretokenizers: readonly Json[]): Json => ({ type: 'Sequence', pretokenizers });
const normalizers = (...steps: readonly Json[]): Json => ({ type: 'Sequence', normalizers: steps });

/** What byte-level files have beside their vocabulary. Source: the models' tokenizer.json. */
const BYTE_LEVEL: Readonly<Record<string, Json>> = {
  'gpt-2': { pre_tokenizer: GPT2 },
  roberta: { pre_tokenizer: { ...GPT2, add_prefix_space: true } },
  'llama-bpe': { pre_tokenizer: sequence(split(words('\\p{N}{1,3}')), BYTES), ignore_merges: true },
  qwen2: { normalizer: { type: 'NFC' }, pre_tokenizer: sequence(split(words('\\p{N}')), BYTES) },
  qwen35: {
    normalizer: { type: 'NFC' },
    pre_tokenizer: sequence(
      split(
        `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
      ),
      BYTES,
    ),
  },
  'gpt-4o': { pre_tokenizer: sequence(split(wordsWithCapitals(`${CONTRACTIONS}?`, '\\p{N}{1,3}')), BYTES) },
  tekken: { pre_tokenizer: sequence(split(wordsWithCapitals('', '\\p{N}')), BYTES), ignore_merges: true },
  'deepseek-coder': {
    pre_tokenizer: sequence(
      split('[\r\n]'),
      split('\\s?\\p{L}+'),
      split('\\s?\\p{P}+'),
      split('[一-龥ࠀ-一가-퟿]+'),
      DIGIT,
      BYTES,
    ),
  },
  'deepseek-v3': {
    pre_tokenizer: sequence(
      split('\\p{N}{1,3}'),
      split('[一-龥぀-ゟ゠-ヿ]+'),
      split(
        '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
      ),
      BYTES,
    ),
  },
  falcon: {
    pre_tokenizer: sequence({ type: 'Punctuation', behavior: 'Contiguous' }, GPT2, DIGITS, split('[0-9][0-9][0-9]')),
  },
  starcoder: { pre_tokenizer: sequence(DIGIT, GPT2) },
  'command-r': { normalizer: { type: 'NFC' }, pre_tokenizer: sequence(DIGIT, GPT2) },
  nfkc: { normalizer: normalizers({ type: 'NFKC' }, { type: 'Lowercase' }), pre_tokenizer: GPT2 },
};

const REPLACED = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };

const SENTENCEPIECE: Readonly<Record<string, Json>> = {
  'llama-2': { normalizer: normalizers({ type: 'Prepend', prepend: '▁' }, REPLACED), pre_tokenizer: null },
  mistral: { normalizer: null, pre_tokenizer: { ...METASPACE, prepend_scheme: 'first', split: false } },
  gemma: {
    normalizer: REPLACED,
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
  },
};

/** Text cut as roughly as every one of them cuts: before single spaces. */
const SAMPLE = fc.sample(randomText, { seed: 3, numRuns: 500 }).flatMap((text) => text.match(/\s?\S+|\s+/g) ?? []);

/** Merges learned from words of symbols, the most frequent pair first. */
const learnMerges = (sample: readonly (readonly string[])[], numMerges: number): [left: string, right: string][] => {
  const learned = sample.map((symbols) => [...symbols]);
  const merges: [string, string][] = [];
  while (merges.length < numMerges) {
    const counts = new Map<string, number>();
    for (const symbols of learned) {
      for (let at = 1; at < symbols.length; at++) {
        const pair = `${symbols[at - 1]} ${symbols[at]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const [best] = [...counts].reduce((most, pair) => (pair[1] > most[1] ? pair : most), ['', 1]);
    if (best === '') break;
    const [left, right] = best.split(' ') as [string, string];
    merges.push([left, right]);
    for (const symbols of learned) {
      for (let at = 1; at < symbols.length; at++) {
        if (symbols[at - 1] === left && symbols[at] === right) symbols.splice(at - 1, 2, left + right);
      }
    }
  }
  return merges;
};

const idsOf = (tokens: Iterable<string>): Record<string, number> =>
  Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));

const byteLevelModel = () => {
  const written = SAMPLE.filter((word) => !word.includes('<')).map((word) =>
    Array.from(Buffer.from(word), (byte) => BYTE_CHARACTERS[byte]!),
  );
  const merges = learnMerges(written, 300);
  // Words that no merges lead to, for models that take whole words.
  const whole = written.filter(({ length }) => length > 5).slice(0, 100);
  const tokens = [...BYTE_CHARACTERS, ...[...merges, ...whole].map((parts) => parts.join(''))];
  return { type: 'BPE', vocab: idsOf(tokens), merges };
};

const SPECIALS = ['<unk>', '<s>', '</s>'];
const MARKED = SAMPLE.map((word) => Array.from(word.replaceAll(' ', '▁')));

/** Characters that are frequent enough for a vocabulary. */
const CHARACTERS = (() => {
  const counts = new Map<string, number>();
  for (const character of MARKED.flat()) counts.set(character, (counts.get(character) ?? 0) + 1);
  const isScalar = (character: string) => !/\p{Surrogate}/u.test(character);
  return new Set([...counts].filter(([character, count]) => count > 1 && isScalar(character)).map(([one]) => one));
})();

/** Words of frequent characters, and none that could be a special token. */
const SPELLED = MARKED.filter((word) => word.every((character) => character !== '<' && CHARACTERS.has(character)));

/** Without spaces inside: the reference package does not cut there, where Metaspace says so. */
const UNCROSSED = SPELLED.filter((word) => word.lastIndexOf('▁') <= 0);

const sentencePieceModel = (words: readonly (readonly string[])[], hasBytes: boolean) => {
  const bytes = hasBytes
    ? Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
    : [];
  const merges = learnMerges(words, 300);
  const tokens = [...SPECIALS, ...bytes, ...CHARACTERS, ...merges.map((pair) => pair.join(''))];
  return { type: 'BPE', vocab: idsOf(tokens), merges, byte_fallback: hasBytes, fuse_unk: true, unk_token: '<unk>' };
};

/** Parts of words, those that occur more often first. */
const frequentParts = (words: readonly (readonly string[])[], maxParts: number): string[] => {
  const counts = new Map<string, number>();
  for (const word of words) {
    for (let start = 0; start < word.length; start++) {
      for (let end = start + 2; end <= Math.min(word.length, start + 6); end++) {
        const part = word.slice(start, end).join('');
        counts.set(part, (counts.get(part) ?? 0) + 1);
      }
    }
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, maxParts)
    .map(([part]) => part);
};

const unigramModel = () => {
  const random = seededRandom(7);
  const pieces = [...new Set([...CHARACTERS, ...frequentParts(UNCROSSED, 400)])];
  const scored = pieces.map((piece) => [piece, -3 - 6 * random() - piece.length]);
  return { type: 'Unigram', unk_id: 0, vocab: [['<unk>', 0], ['<s>', 0], ['</s>', 0], ...scored] };
};

const wordPieceModel = () => {
  const words = SAMPLE.map((word) => Array.from(word.normalize('NFKD').trim().toLowerCase()));
  const spelled = words.filter((word) => word.every((character) => CHARACTERS.has(character)));
  const parts = [...CHARACTERS, ...frequentParts(spelled, 300)];
  const tokens = ['[UNK]', '[CLS]', '[SEP]', ...parts, ...parts.map((part) => `##${part}`)];
  return {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 12,
    vocab: idsOf(tokens),
  };
};

interface AddedToken {
  readonly content: string;
  readonly special: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

const ADDED: readonly AddedToken[] = [
  { content: '<|im_end|>', special: true },
  { content: '<think>', special: false },
  { content: '<|pad|>', special: true, lstrip: true, rstrip: true },
  { content: '\t\t', special: false },
];

const sizeOf = (model: { readonly vocab: object }): number => Object.keys(model.vocab).length;

/** A whole tokenizer.json; `known`: texts of its model that count as special tokens. */
const tokenizerFile = (
  model: { readonly vocab: object },
  { decoder, known = [], ...parts }: { readonly decoder: Json; readonly known?: readonly string[] } & Json,
): Json => {
  const size = sizeOf(model);
  const added = [
    ...known.map((content, id) => ({ id, content, special: true })),
    ...ADDED.map((token, index) => ({ id: size + index, ...token })),
  ];
  return {
    version: '1.0',
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    added_tokens: added.map((token) => ({
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      ...token,
    })),
    ...parts,
    decoder,
    model,
  };
};

const decoders = (...steps: readonly Json[]): Json => ({ type: 'Sequence', decoders: steps });
/** Without the step that takes the first space away: that is no business of single tokens. */
const BYTE_FALLBACK = decoders(
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
);
const BERT = { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true };

/** Name → tokenizer.json. */
export const publishedTokenizers = (): ReadonlyMap<string, Json> => {
  const bytes = byteLevelModel();
  const pieces = sentencePieceModel(SPELLED, true);
  const bare = sentencePieceModel(SPELLED, false);
  const result = new Map<string, Json>();
  for (const [name, { ignore_merges = false, ...parts }] of Object.entries(BYTE_LEVEL)) {
    result.set(name, tokenizerFile({ ...bytes, ignore_merges } as typeof bytes, { decoder: BYTES, ...parts }));
  }
  for (const [name, parts] of Object.entries(SENTENCEPIECE)) {
    result.set(name, tokenizerFile(pieces, { decoder: BYTE_FALLBACK, known: SPECIALS, ...parts }));
  }
  const llama = { ...SENTENCEPIECE['llama-2'], decoder: BYTE_FALLBACK, known: SPECIALS };
  result.set('llama-2 without bytes', tokenizerFile(bare, llama));
  result.set('llama-2 with every unknown character', tokenizerFile({ ...bare, fuse_unk: false } as typeof bare, llama));
  const metaspace = { normalizer: null, pre_tokenizer: METASPACE, decoder: BYTE_FALLBACK, known: SPECIALS };
  const uncrossed = sentencePieceModel(UNCROSSED, true);
  result.set('metaspace', tokenizerFile(uncrossed, metaspace));
  result.set('unigram', tokenizerFile(unigramModel(), metaspace));
  for (const lowercase of [true, false]) {
    result.set(
      lowercase ? 'bert' : 'bert cased',
      tokenizerFile(wordPieceModel(), {
        decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
        normalizer: { ...BERT, strip_accents: null, lowercase },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        known: ['[UNK]', '[CLS]', '[SEP]'],
      }),
    );
  }
  return result;
};
