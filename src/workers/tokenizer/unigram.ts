/** SentencePiece Unigram: of all ways to cut text into pieces, the most probable one (Viterbi). */
import { EngineError } from '../../runtime/errors.ts';
import type { TextEncoding } from './byte-level-bpe.ts';
import { TOKEN_TYPE, type VocabularyDefinition } from './definition.ts';
import { MergeTable } from './merge-table.ts';
import { SPACE_MARK, spaceMarked, wordsOf } from './space-mark.ts';
import { looksLikeMarkup, type TextPlace } from './special-tokens.ts';
import { cutter } from './split.ts';
import type { TokenBuffer } from './token-buffer.ts';
import { byteTokenIds } from './token-bytes.ts';
import { WordCache } from './word-cache.ts';

/** How much less probable than the least probable piece an unknown character is. Source: SentencePiece `kUnkPenalty`. */
const UNKNOWN_PENALTY = 10;

/** @throws EngineError model_file_invalid when scores, or both byte tokens and an unknown token, are missing */
export const unigram = (definition: VocabularyDefinition): TextEncoding => {
  const { tokens, scores, unknownTokenId } = definition;
  if (scores?.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `a Unigram tokenizer needs a score for each of its ${tokens.length} tokens; there are ${scores?.length ?? 'none'}`,
    );
  }
  const byteIds = byteTokenIds(definition);
  const hasBytes = byteIds.every((id) => id !== undefined);
  if (!hasBytes && unknownTokenId === undefined) {
    throw new EngineError('model_file_invalid', 'a Unigram tokenizer needs an unknown token or a token for every byte');
  }
  const lattice = new Lattice(definition, scores);
  const { preTokenizer } = definition;
  // A space that is no piece would be part of a run of unknown characters, across words.
  const ownCut = lattice.pieces.has(SPACE_MARK) ? wordsOf(lattice.pieces) : (text: string) => [text];
  const cut = typeof preTokenizer === 'object' ? cutter(preTokenizer) : ownCut;
  const cache = new WordCache();
  const encoder = new TextEncoder();

  const encodeWord = (word: string, result: TokenBuffer): void => {
    let wasUnknown = false;
    for (const { id, text } of lattice.best(word)) {
      if (id >= 0) result.push(id);
      else if (hasBytes) for (const byte of encoder.encode(text)) result.push(byteIds[byte]!);
      else if (!wasUnknown) result.push(unknownTokenId!);
      wasUnknown = id < 0;
    }
  };

  return (text, result, place) => {
    for (const word of cut(marked(text, definition, place))) cache.push(word, result, encodeWord);
  };
};

/** A space that the model wants goes before a text's first word, and so before nothing where there is none. */
const marked = (text: string, definition: VocabularyDefinition, place: TextPlace): string => {
  if (!/[^ ]/.test(text)) return definition.mergesSpaces ? '' : text.replaceAll(' ', SPACE_MARK);
  if (!definition.mergesSpaces) return spaceMarked(text, definition, place);
  return (
    SPACE_MARK +
    text
      .replace(/^ +/, '')
      .replace(/(?<! ) +$/, '')
      .replaceAll(/ +/g, SPACE_MARK)
  );
};

interface Piece {
  /** −1: unknown. */
  readonly id: number;
  readonly text: string;
}

const ROOT = 0;
const NO_PIECE = -1;

/** The vocabulary as a trie of UTF-16 units, and the search over it. */
class Lattice {
  readonly pieces: ReadonlySet<string>;
  /** Pairs of a node and a unit; what they "merge" into is the child. */
  readonly #children: MergeTable;
  /** [nodes] the piece that ends at a node. */
  readonly #ids: number[] = [NO_PIECE];
  readonly #scores: Float64Array;
  readonly #unknownScore: number;

  constructor({ tokens, tokenTypes }: VocabularyDefinition, scores: readonly number[]) {
    const pieces = new Set<string>();
    this.#children = new MergeTable(4 * tokens.length);
    // What users define counts as certain.
    this.#scores = Float64Array.from(scores, (score, id) => (tokenTypes[id] === TOKEN_TYPE.userDefined ? 0 : score));
    let least = Number.POSITIVE_INFINITY;
    for (const [id, token] of tokens.entries()) {
      const type = tokenTypes[id];
      if (type === TOKEN_TYPE.normal) least = Math.min(least, scores[id]!);
      const isPiece =
        type === TOKEN_TYPE.normal ||
        (type === TOKEN_TYPE.userDefined && !looksLikeMarkup(token)) ||
        type === TOKEN_TYPE.unused;
      if (!isPiece || token === '' || pieces.has(token)) continue;
      pieces.add(token);
      this.#insert(token, id);
    }
    this.pieces = pieces;
    this.#unknownScore = least - UNKNOWN_PENALTY;
  }

  /** The most probable pieces of a text, in order. Linear in the text. */
  best(text: string): Piece[] {
    const scores = new Float64Array(text.length + 1).fill(Number.NEGATIVE_INFINITY);
    const starts = new Int32Array(text.length + 1);
    const ids = new Int32Array(text.length + 1);
    scores[0] = 0;
    const offer = (start: number, end: number, id: number, score: number): void => {
      if (scores[start]! + score <= scores[end]!) return;
      scores[end] = scores[start]! + score;
      starts[end] = start;
      ids[end] = id;
    };
    for (let start = 0; start < text.length; ) {
      const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      let hasCharacter = false;
      let node = ROOT;
      for (let end = start; end < text.length; ) {
        node = this.#child(node, text.charCodeAt(end++));
        if (node < 0) break;
        const id = this.#ids[node]!;
        if (id === NO_PIECE) continue;
        offer(start, end, id, this.#scores[id]!);
        if (end === next) hasCharacter = true;
      }
      if (!hasCharacter) offer(start, next, NO_PIECE, this.#unknownScore);
      start = next;
    }
    const found: Piece[] = [];
    for (let end = text.length; end > 0; end = starts[end]!) {
      found.push({ id: ids[end]!, text: text.slice(starts[end]!, end) });
    }
    return found.reverse();
  }

  #insert(token: string, id: number): void {
    let node = ROOT;
    for (let at = 0; at < token.length; at++) {
      const unit = token.charCodeAt(at);
      const known = this.#child(node, unit);
      if (known >= 0) {
        node = known;
        continue;
      }
      const child = this.#ids.push(NO_PIECE) - 1;
      this.#children.add(node, unit, 0, child);
      node = child;
    }
    this.#ids[node] = id;
  }

  #child(node: number, unit: number): number {
    const entry = this.#children.find(node, unit);
    return entry < 0 ? -1 : this.#children.mergedAt(entry);
  }
}
