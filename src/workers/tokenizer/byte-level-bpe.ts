/** Byte-level BPE: words of bytes, written in an alphabet of printable characters, merged by rank. */
import { EngineError } from '../../runtime/errors.ts';
import { BYTE_CHARACTERS } from './byte-alphabet.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { MergeTable, mergeSymbols } from './merge.ts';
import { preTokenizer } from './pre-tokenizers.ts';

/** Words remembered with their tokens: text repeats itself. */
const MAX_CACHED_WORDS = 50_000;
const MAX_CACHED_LENGTH = 64;

/**
 * Returns the encoder of text without special tokens.
 * @throws EngineError model_file_invalid when a byte has no token or merges are absent; model_unsupported
 */
export const byteLevelBpe = (definition: VocabularyDefinition): ((text: string) => readonly number[]) => {
  const { tokens, tokenTypes, merges, preTokenizer: name = 'default' } = definition;
  if (!merges)
    throw new EngineError('model_file_invalid', 'tokenizer.ggml.merges is missing; a gpt2 tokenizer needs it');
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] !== TOKEN_TYPE.control && !ids.has(token)) ids.set(token, id);
  }
  const byteIds = BYTE_CHARACTERS.map((character) => ids.get(character) ?? definition.unknownTokenId ?? -1);
  const table = mergeTable(merges, ids);
  const cut = preTokenizer(name);
  // Llama 3's vocabulary has words that its merges do not reach; they are tokens all the same.
  const takesWholeWords = name === 'llama-bpe' || name === 'llama3' || name === 'llama-v3';
  const encoder = new TextEncoder();
  const cache = new Map<string, readonly number[]>();

  const encodeWord = (word: string): readonly number[] => {
    const bytes = encoder.encode(word);
    if (takesWholeWords) {
      const whole = ids.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]!).join(''));
      if (whole !== undefined) return [whole];
    }
    const symbols = Int32Array.from(bytes, (byte) => byteIds[byte]!);
    const missing = symbols.indexOf(-1);
    if (missing >= 0)
      throw new EngineError('model_file_invalid', `the vocabulary has no token for byte ${bytes[missing]}`);
    return Array.from(symbols.subarray(0, mergeSymbols(symbols, table)));
  };

  return (text) => {
    const result: number[] = [];
    for (const word of cut(text)) {
      let found = cache.get(word);
      if (!found) {
        found = encodeWord(word);
        if (cache.size >= MAX_CACHED_WORDS) cache.clear();
        if (word.length <= MAX_CACHED_LENGTH) cache.set(word, found);
      }
      for (const id of found) result.push(id);
    }
    return result;
  };
};

const mergeTable = (merges: readonly string[], ids: ReadonlyMap<string, number>): MergeTable => {
  const table = new MergeTable();
  for (const [rank, merge] of merges.entries()) {
    // The separator is the first space after the first character: a token may begin with one in no known vocabulary.
    const space = merge.indexOf(' ', 1);
    const left = ids.get(merge.slice(0, space));
    const right = ids.get(merge.slice(space + 1));
    const merged = ids.get(merge.slice(0, space) + merge.slice(space + 1));
    if (space < 0 || left === undefined || right === undefined || merged === undefined) {
      throw new EngineError(
        'model_file_invalid',
        `tokenizer.ggml.merges[${rank}] is ${JSON.stringify(merge)}, which joins no two tokens to a third`,
      );
    }
    table.add(left, right, rank, merged);
  }
  return table;
};
