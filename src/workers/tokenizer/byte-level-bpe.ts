/** Byte-level BPE: words of bytes, written in an alphabet of printable characters, merged by rank. */
import { EngineError } from '../../runtime/errors.ts';
import { BYTE_CHARACTERS, CHARACTER_BYTES } from './byte-alphabet.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { mergeSymbols } from './merge.ts';
import { MergeTable } from './merge-table.ts';
import { preTokenizer, takesWholeWords } from './pre-tokenizers.ts';
import type { TextPlace } from './special-tokens.ts';
import { cutter } from './split.ts';
import type { TokenBuffer } from './token-buffer.ts';
import { WordCache } from './word-cache.ts';

/** Appends the tokens of text that has no special tokens. */
export type TextEncoding = (text: string, result: TokenBuffer, place: TextPlace) => void;

/**
 * Returns the encoder of text without special tokens.
 * @throws EngineError model_file_invalid when a byte has no token or merges are absent; model_unsupported
 */
export const byteLevelBpe = (definition: VocabularyDefinition): TextEncoding => {
  const { tokens, tokenTypes, merges, preTokenizer: words = 'default' } = definition;
  if (!merges)
    throw new EngineError('model_file_invalid', 'tokenizer.ggml.merges is missing; a gpt2 tokenizer needs it');
  const ids = new Map<string, number>();
  const controls = new Set<string>();
  for (const [id, token] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control) controls.add(token);
    else if (!ids.has(token)) ids.set(token, id);
  }
  const byteIds = Int32Array.from(
    BYTE_CHARACTERS,
    (character) => ids.get(character) ?? definition.unknownTokenId ?? -1,
  );
  const table = mergeTable(merges, ids, controls);
  const cut = typeof words === 'string' ? preTokenizer(words) : cutter(words);
  const wholeWords = definition.takesWholeWords ?? (typeof words === 'string' && takesWholeWords(words));
  const cutBytes = cutter(definition.byteSteps ?? []);
  const cache = new WordCache();
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(1024);
  let symbols = new Int32Array(1024);

  const written = (length: number): string => {
    let text = '';
    for (let at = 0; at < length; at++) text += BYTE_CHARACTERS[bytes[at]!]!;
    return text;
  };

  const encodeBytes = (length: number, result: TokenBuffer): void => {
    const whole = wholeWords && length <= MAX_WHOLE_BYTES ? ids.get(written(length)) : undefined;
    if (whole !== undefined) {
      result.push(whole);
      return;
    }
    for (let at = 0; at < length; at++) {
      const id = byteIds[bytes[at]!]!;
      if (id < 0) throw new EngineError('model_file_invalid', `the vocabulary has no token for byte ${bytes[at]}`);
      symbols[at] = id;
    }
    const numTokens = mergeSymbols(symbols, table, length);
    for (let at = 0; at < numTokens; at++) result.push(symbols[at]!);
  };

  const encodeWord = (word: string, result: TokenBuffer): void => {
    if (3 * word.length > bytes.length) {
      bytes = new Uint8Array(3 * word.length);
      symbols = new Int32Array(3 * word.length);
    }
    const length = encoder.encodeInto(word, bytes).written;
    if (!definition.byteSteps) {
      encodeBytes(length, result);
      return;
    }
    for (const piece of cutBytes(written(length))) {
      for (let at = 0; at < piece.length; at++) bytes[at] = CHARACTER_BYTES.get(piece[at]!)!;
      encodeBytes(piece.length, result);
    }
  };

  return (text, result) => {
    for (const word of cut(text)) cache.push(word, result, encodeWord);
  };
};

/** Longer tokens are in no vocabulary. */
const MAX_WHOLE_BYTES = 1024;

const mergeTable = (
  merges: readonly string[],
  ids: ReadonlyMap<string, number>,
  controls: ReadonlySet<string>,
): MergeTable => {
  const table = new MergeTable(merges.length);
  for (const [rank, merge] of merges.entries()) {
    // The separator is the first space after the first character: a token may begin with one in no known vocabulary.
    const space = merge.indexOf(' ', 1);
    const left = ids.get(merge.slice(0, space));
    const right = ids.get(merge.slice(space + 1));
    const text = merge.slice(0, space) + merge.slice(space + 1);
    // No text may merge to a control token.
    if (space > 0 && controls.has(text)) continue;
    const merged = ids.get(text);
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
