/** The expressions of well-known tokenizer.json files, and the name that GGUF files give each cut. */

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

const words = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;

const wordsWithCapitals = (suffix: string, digits: string): string => {
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  return `${before}${UPPER}*${LOWER}+${suffix}|${before}${UPPER}+${LOWER}*${suffix}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
};

const NAMES: ReadonlyMap<string, string> = new Map([
  [words('\\p{N}{1,3}'), 'llama-bpe'],
  [words('\\p{N}'), 'qwen2'],
  [
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    'qwen35',
  ],
  [wordsWithCapitals(`${CONTRACTIONS}?`, '\\p{N}{1,3}'), 'gpt-4o'],
  [wordsWithCapitals('', '\\p{N}'), 'tekken'],
]);

/** The name of the cut that an expression makes by itself, before text becomes bytes. */
export const nameOfExpression = (expression: string): string | undefined => NAMES.get(expression);
