/** WordPiece: of each word, the longest piece that begins it, then the longest that goes on, and so on. */
import { EngineError } from '../../runtime/errors.ts';
import type { TextEncoding } from './byte-level-bpe.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { SPACE_MARK } from './space-mark.ts';
import type { TokenBuffer } from './token-buffer.ts';
import { WordCache } from './word-cache.ts';

/** Chinese characters as BERT's tokenizer has them; each is a word, as is each punctuation mark. */
const CHINESE =
  '\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}\\u{2b920}-\\u{2ceaf}' +
  '\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}';
const SINGLE = `${CHINESE}\\p{P}$+<=>^\`|~`;
const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const WORDS = new RegExp(`[${SINGLE}]|[^${SINGLE}${SPACE}]+`, 'gu');

/** @throws EngineError model_file_invalid without an unknown token */
export const wordPiece = (definition: VocabularyDefinition): TextEncoding => {
  const { tokens, tokenTypes, unknownTokenId, maxWordCharacters = Number.POSITIVE_INFINITY } = definition;
  if (unknownTokenId === undefined)
    throw new EngineError('model_file_invalid', 'a WordPiece tokenizer needs an unknown token');
  const ids = new Map<string, number>();
  let longest = 0;
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control || ids.has(token)) continue;
    ids.set(token, id);
    longest = Math.max(longest, token.length);
  }
  const cache = new WordCache();

  const encodeWord = (word: string, result: TokenBuffer): void => {
    if (word.length > maxWordCharacters && Array.from(word).length > maxWordCharacters) {
      result.push(unknownTokenId);
      return;
    }
    const found = longestPieces(SPACE_MARK + word, ids, longest);
    for (const id of found ?? [unknownTokenId]) result.push(id);
  };

  return (text, result) => {
    for (const word of text.match(WORDS) ?? []) cache.push(word, result, encodeWord);
  };
};

/** Undefined when a part of the word is in no piece. */
const longestPieces = (word: string, ids: ReadonlyMap<string, number>, longest: number): number[] | undefined => {
  const found: number[] = [];
  for (let start = 0; start < word.length; ) {
    let end = Math.min(word.length, start + longest);
    while (end > start && !ids.has(word.slice(start, end))) end--;
    if (end === start) return undefined;
    found.push(ids.get(word.slice(start, end))!);
    start = end;
  }
  return found;
};
