/** SentencePiece BPE: characters merged by the score of what they make, with bytes for what is not in the vocabulary. */
import { EngineError } from '../../runtime/errors.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { MergeTable, mergeSymbols } from './merge.ts';
import { byteOfPiece } from './token-bytes.ts';

/** SentencePiece writes a space as this character. */
const SPACE = '\u2581';

/**
 * Returns the encoder of text without special tokens; a space goes before text that begins a fragment if the model
 * wants it.
 * @throws EngineError model_file_invalid when scores or both byte and unknown tokens are absent
 */
export const sentencePieceBpe = (
  definition: VocabularyDefinition,
): ((text: string, beginsFragment: boolean) => readonly number[]) => {
  const { tokens, tokenTypes, scores, unknownTokenId, addSpacePrefix } = definition;
  if (scores?.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `tokenizer.ggml.scores has ${scores?.length ?? 'no'} entries, the vocabulary ${tokens.length}`,
    );
  }
  const pieces = new Map<string, number>();
  const byteIds = new Array<number | undefined>(256);
  for (const [id, token] of tokens.entries()) {
    const type = tokenTypes[id];
    const byte = type === TOKEN_TYPE.byte ? byteOfPiece(token) : undefined;
    if (byte !== undefined) byteIds[byte] = id;
    const isPiece = type === TOKEN_TYPE.normal || type === TOKEN_TYPE.userDefined || type === TOKEN_TYPE.unused;
    if (isPiece && !pieces.has(token)) pieces.set(token, id);
  }
  const symbols = new SymbolTable(pieces, tokens.length);
  const table = pieceMerges(pieces, scores, symbols);
  const encoder = new TextEncoder();

  const pushBytes = (character: string, result: number[]): void => {
    for (const byte of encoder.encode(character)) {
      const id = byteIds[byte] ?? unknownTokenId;
      if (id === undefined) {
        throw new EngineError(
          'model_file_invalid',
          `the vocabulary has no token for byte ${byte} and no unknown token`,
        );
      }
      result.push(id);
    }
  };

  return (text, beginsFragment) => {
    if (text === '') return [];
    const escaped = (beginsFragment && addSpacePrefix ? SPACE : '') + text.replaceAll(' ', SPACE);
    const sequence = Int32Array.from(Array.from(escaped), (character) => symbols.ofCharacter(character));
    const result: number[] = [];
    for (const symbol of sequence.subarray(0, mergeSymbols(sequence, table))) {
      if (symbol < tokens.length) result.push(symbol);
      else pushBytes(symbols.character(symbol), result);
    }
    return result;
  };
};

/** Numbers for what merges: a piece's is its token id; characters that are no pieces get numbers after the vocabulary. */
class SymbolTable {
  readonly #pieces: ReadonlyMap<string, number>;
  readonly #numTokens: number;
  readonly #strays = new Map<string, number>();
  readonly #characters: string[] = [];

  constructor(pieces: ReadonlyMap<string, number>, numTokens: number) {
    this.#pieces = pieces;
    this.#numTokens = numTokens;
  }

  ofCharacter(character: string): number {
    const known = this.of(character);
    if (known !== undefined) return known;
    const symbol = this.#numTokens + this.#characters.push(character) - 1;
    this.#strays.set(character, symbol);
    return symbol;
  }

  of(text: string): number | undefined {
    return this.#pieces.get(text) ?? this.#strays.get(text);
  }

  character(symbol: number): string {
    return this.#characters[symbol - this.#numTokens]!;
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
  const table = new MergeTable();
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
