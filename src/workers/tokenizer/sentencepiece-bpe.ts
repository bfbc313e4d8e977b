/** SentencePiece BPE: characters merged by the score of what they make, with bytes for what is not in the vocabulary. */
import { EngineError } from '../../runtime/errors.ts';
import type { TextEncoding } from './byte-level-bpe.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { mergeSymbols } from './merge.ts';
import { MergeTable } from './merge-table.ts';
import { spaceMarked, wordsOf } from './space-mark.ts';
import { looksLikeMarkup } from './special-tokens.ts';
import { cutter } from './split.ts';
import type { TokenBuffer } from './token-buffer.ts';
import { byteTokenIds } from './token-bytes.ts';
import { WordCache } from './word-cache.ts';

/**
 * Returns the encoder of text without special tokens; a space goes before it if the model wants that.
 * @throws EngineError model_file_invalid when scores or both byte and unknown tokens are absent
 */
export const sentencePieceBpe = (definition: VocabularyDefinition): TextEncoding => {
  const { tokens, tokenTypes, scores, merges, preTokenizer, unknownTokenId, separatesUnknown } = definition;
  if (!merges && scores?.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `tokenizer.ggml.scores has ${scores?.length ?? 'no'} entries, the vocabulary ${tokens.length}`,
    );
  }
  const pieces = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const type = tokenTypes[id];
    const isPiece =
      type === TOKEN_TYPE.normal ||
      (type === TOKEN_TYPE.userDefined && !looksLikeMarkup(token)) ||
      type === TOKEN_TYPE.unused;
    if (isPiece && !pieces.has(token)) pieces.set(token, id);
  }
  const byteIds = byteTokenIds(definition);
  const symbols = new SymbolTable(pieces, tokens.length);
  const table = merges ? listedMerges(merges, symbols) : pieceMerges(pieces, scores!, symbols);
  const cut = typeof preTokenizer === 'object' ? cutter(preTokenizer) : wordsOf(pieces.keys());
  const cache = new WordCache();
  const encoder = new TextEncoder();
  let sequence = new Int32Array(1024);

  const unknown = (character: string): number => {
    if (unknownTokenId !== undefined) return unknownTokenId;
    const problem = `the vocabulary has no tokens for ${JSON.stringify(character)} or its bytes, and no unknown token`;
    throw new EngineError('model_file_invalid', problem);
  };

  /** Returns false for a character that has no bytes to be written with. */
  const pushBytes = (character: string, result: TokenBuffer): boolean => {
    const bytes = encoder.encode(character);
    if (bytes.some((byte) => byteIds[byte] === undefined)) return false;
    for (const byte of bytes) result.push(byteIds[byte]!);
    return true;
  };

  const encodeWord = (word: string, result: TokenBuffer): void => {
    if (word.length > sequence.length) sequence = new Int32Array(2 * word.length);
    let length = 0;
    for (const character of word) sequence[length++] = symbols.ofCharacter(character);
    const numTokens = mergeSymbols(sequence, table, length);
    let wasUnknown = false;
    for (let at = 0; at < numTokens; at++) {
      const symbol = sequence[at]!;
      const isUnknown = symbol >= tokens.length && !pushBytes(symbols.text(symbol), result);
      if (symbol < tokens.length) result.push(symbol);
      if (isUnknown && (!wasUnknown || separatesUnknown)) result.push(unknown(symbols.text(symbol)));
      wasUnknown = isUnknown;
    }
    symbols.forgetStrays();
  };

  return (text, result, place) => {
    for (const word of cut(spaceMarked(text, definition, place))) cache.push(word, result, encodeWord);
  };
};

/** Numbers for what merges: a piece's is its token id; other text gets numbers after the vocabulary. */
class SymbolTable {
  readonly #pieces: ReadonlyMap<string, number>;
  readonly #numTokens: number;
  readonly #strays = new Map<string, number>();
  readonly #texts: string[] = [];
  #numMerging = Number.POSITIVE_INFINITY;

  constructor(pieces: ReadonlyMap<string, number>, numTokens: number) {
    this.#pieces = pieces;
    this.#numTokens = numTokens;
  }

  ofCharacter(character: string): number {
    const known = this.of(character);
    if (known !== undefined) return known;
    const symbol = this.#numTokens + this.#texts.push(character) - 1;
    this.#strays.set(character, symbol);
    return symbol;
  }

  of(text: string): number | undefined {
    return this.#pieces.get(text) ?? this.#strays.get(text);
  }

  text(symbol: number): string {
    return this.#texts[symbol - this.#numTokens]!;
  }

  /** Strays known by now merge; later ones only stand for themselves. */
  keepStrays(): void {
    this.#numMerging = this.#texts.length;
  }

  /** Forgets characters that a prompt brought, so that prompts cannot fill the memory. */
  forgetStrays(): void {
    while (this.#texts.length > this.#numMerging) this.#strays.delete(this.#texts.pop()!);
  }
}

/** All ways in which two symbols make a piece, ranked by the piece's score. */
const pieceMerges = (
  pieces: ReadonlyMap<string, number>,
  scores: readonly number[],
  symbols: SymbolTable,
): MergeTable => {
  const distinct = [...new Set(Array.from(pieces.values(), (id) => scores[id]!))].sort((a, b) => b - a);
  const rankOf = new Map(distinct.map((score, rank) => [score, rank]));
  for (const piece of pieces.keys()) for (const character of piece) symbols.ofCharacter(character);
  symbols.keepStrays();
  const table = new MergeTable(4 * pieces.size);
  for (const [piece, id] of pieces) {
    const rank = rankOf.get(scores[id]!)!;
    for (let split = 1; split < piece.length; split++) {
      const left = symbols.of(piece.slice(0, split));
      const right = symbols.of(piece.slice(split));
      if (left !== undefined && right !== undefined) table.add(left, right, rank, id);
    }
  }
  return table;
};

/** Merges as tokenizer.json lists them. @throws EngineError model_file_invalid */
const listedMerges = (merges: readonly string[], symbols: SymbolTable): MergeTable => {
  symbols.keepStrays();
  const table = new MergeTable(merges.length);
  for (const [rank, merge] of merges.entries()) {
    const space = merge.indexOf(' ', 1);
    const left = symbols.of(merge.slice(0, space));
    const right = symbols.of(merge.slice(space + 1));
    const merged = symbols.of(merge.slice(0, space) + merge.slice(space + 1));
    if (space < 0 || left === undefined || right === undefined || merged === undefined) {
      const found = JSON.stringify(merge);
      throw new EngineError('model_file_invalid', `merges[${rank}] is ${found}, which joins no two tokens to a third`);
    }
    table.add(left, right, rank, merged);
  }
  return table;
};
