/** Text to token ids and token ids to bytes, for every kind of vocabulary. */
import { EngineError } from '../../runtime/errors.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';
import { type ByteDefinition, TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from './definition.ts';
import { normalizer } from './normalizer.ts';
import { sentencePieceBpe } from './sentencepiece-bpe.ts';
import { fragments, looksLikeMarkup, type PromptPart, type Segment, type SpecialTokens } from './special-tokens.ts';
import { canSplit, splitPart } from './split-prompt.ts';
import { joinTokens, TokenBuffer } from './token-buffer.ts';
import { type TokenBytes, tokenBytes } from './token-bytes.ts';
import { unigram } from './unigram.ts';
import { wordPiece } from './word-piece.ts';

export interface EncodeOptions {
  /** Turn special tokens found in the text into their ids; else they are plain text. */
  readonly parseSpecial: boolean;
}

export interface Tokenizer extends TokenBytes {
  readonly vocabularySize: number;
  /** Token ids of the text, without BOS or EOS. Linear in the text. */
  encode(text: string, options: EncodeOptions): Uint32Array;
  /** Encodes the joined segments; special tokens count only outside literal ones. */
  encodeSegments(segments: readonly Segment[]): Uint32Array;
  /**
   * The segments in parts of about `partLength` characters, if they are longer and the vocabulary has borders that tokens
   * never cross. The parts' ids, one after the other, are those of the whole.
   */
  parts(segments: readonly Segment[], partLength: number): readonly PromptPart[];
  encodePart(part: PromptPart): Uint32Array;
  /** Texts that count as special tokens outside literal text. */
  readonly specialTexts: readonly string[];
}

/** @throws EngineError model_file_invalid, model_unsupported */
export const createTokenizer = (definition: TokenizerDefinition): Tokenizer =>
  definition.model === 'bytes' ? byteTokenizer(definition) : vocabularyTokenizer(definition);

const specialTokens = ({ tokens, tokenTypes, trimsBefore, trimsAfter }: VocabularyDefinition): SpecialTokens => {
  const markup = new Map<string, number>();
  const everywhere = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token === '') continue;
    if (tokenTypes[id] === TOKEN_TYPE.control || tokenTypes[id] === TOKEN_TYPE.unknown) markup.set(token, id);
    if (tokenTypes[id] === TOKEN_TYPE.userDefined) (looksLikeMarkup(token) ? markup : everywhere).set(token, id);
  }
  return { markup, everywhere, trimsBefore: new Set(trimsBefore), trimsAfter: new Set(trimsAfter) };
};

const ENCODERS = { gpt2: byteLevelBpe, llama: sentencePieceBpe, t5: unigram, bert: wordPiece } as const;

const vocabularyTokenizer = (definition: VocabularyDefinition): Tokenizer => {
  const { tokens, tokenTypes, model } = definition;
  if (tokenTypes.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `tokenizer.ggml.token_type has ${tokenTypes.length} entries, the vocabulary ${tokens.length}`,
    );
  }
  const special = specialTokens(definition);
  const encodeText = ENCODERS[model](definition);
  const normalize = normalizer(definition.normalizer ?? []);

  const placed = (segments: readonly Segment[]): PromptPart =>
    fragments(segments, special).map((fragment, index) =>
      'tokenId' in fragment ? fragment : { ...fragment, place: index === 0 ? 'prompt' : 'fragment' },
    );

  const encodePart = (part: PromptPart): Uint32Array => {
    const result = new TokenBuffer();
    for (const fragment of part) {
      const text = 'text' in fragment ? normalize(fragment.text) : '';
      if ('tokenId' in fragment) result.push(fragment.tokenId);
      else if (text !== '') encodeText(text, result, fragment.place);
    }
    return result.toArray();
  };

  const encodeSegments = (segments: readonly Segment[]): Uint32Array => encodePart(placed(segments));
  let isSplittable: boolean | undefined;

  return {
    vocabularySize: tokens.length,
    encodeSegments,
    encode: (text, { parseSpecial }) => encodeSegments([{ text, isLiteral: !parseSpecial }]),
    parts(segments, partLength) {
      const whole = placed(segments);
      if (lengthOf(whole) <= partLength) return [whole];
      isSplittable ??= canSplit(definition);
      return isSplittable ? splitPart(whole, partLength) : [whole];
    },
    encodePart,
    ...tokenBytes(definition),
    specialTexts: [...special.markup.keys()],
  };
};

const lengthOf = (part: PromptPart): number =>
  part.reduce((length, fragment) => length + ('text' in fragment ? fragment.text.length : 1), 0);

const byteTokenizer = (definition: ByteDefinition): Tokenizer => {
  const none: ReadonlySet<number> = new Set();
  const markup = new Map(Object.entries(definition.specialTokens ?? {}));
  const special: SpecialTokens = { markup, everywhere: new Map(), trimsBefore: none, trimsAfter: none };
  const encoder = new TextEncoder();
  const placed = (segments: readonly Segment[]): PromptPart =>
    fragments(segments, special).map((found) => ('tokenId' in found ? found : { ...found, place: 'fragment' }));
  const encodePart = (part: PromptPart): Uint32Array =>
    joinTokens(
      part.map((fragment) =>
        'tokenId' in fragment ? Uint32Array.of(fragment.tokenId) : Uint32Array.from(encoder.encode(fragment.text)),
      ),
    );
  const encodeSegments = (segments: readonly Segment[]): Uint32Array => encodePart(placed(segments));
  return {
    vocabularySize: 256 + definition.extraTokens.length,
    encode: (text, { parseSpecial }) => encodeSegments([{ text, isLiteral: !parseSpecial }]),
    encodeSegments,
    parts: (segments) => [placed(segments)],
    encodePart,
    ...tokenBytes(definition),
    specialTexts: [...markup.keys()],
  };
};
