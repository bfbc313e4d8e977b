/** Text to token ids and token ids to bytes, for every kind of vocabulary. */
import { EngineError } from '../../runtime/errors.ts';
import { byteLevelBpe } from './byte-level-bpe.ts';
import { type ByteDefinition, TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from './definition.ts';
import { normalizer } from './normalizer.ts';
import { sentencePieceBpe } from './sentencepiece-bpe.ts';
import { fragments, type Segment, type SpecialTokens } from './special-tokens.ts';
import { TokenBuffer } from './token-buffer.ts';
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
  /** Texts that count as special tokens outside literal text. */
  readonly specialTexts: readonly string[];
}

/** @throws EngineError model_file_invalid, model_unsupported */
export const createTokenizer = (definition: TokenizerDefinition): Tokenizer =>
  definition.model === 'bytes' ? byteTokenizer(definition) : vocabularyTokenizer(definition);

const LOOKS_LIKE_MARKUP = /^[<[].*[>\]]$/s;

const specialTokens = ({ tokens, tokenTypes, trimsBefore, trimsAfter }: VocabularyDefinition): SpecialTokens => {
  const markup = new Map<string, number>();
  const everywhere = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token === '') continue;
    if (tokenTypes[id] === TOKEN_TYPE.control) markup.set(token, id);
    if (tokenTypes[id] === TOKEN_TYPE.userDefined) (LOOKS_LIKE_MARKUP.test(token) ? markup : everywhere).set(token, id);
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

  const encodeSegments = (segments: readonly Segment[]): Uint32Array => {
    const result = new TokenBuffer();
    let beginsPrompt = true;
    for (const fragment of fragments(segments, special)) {
      const text = 'text' in fragment ? normalize(fragment.text) : '';
      if ('tokenId' in fragment) result.push(fragment.tokenId);
      else if (text !== '') encodeText(text, result, beginsPrompt);
      beginsPrompt = false;
    }
    return result.toArray();
  };

  return {
    vocabularySize: tokens.length,
    encodeSegments,
    encode: (text, { parseSpecial }) => encodeSegments([{ text, isLiteral: !parseSpecial }]),
    ...tokenBytes(definition),
    specialTexts: [...special.markup.keys()],
  };
};

const byteTokenizer = (definition: ByteDefinition): Tokenizer => {
  const encode = (text: string): Uint32Array => Uint32Array.from(new TextEncoder().encode(text));
  return {
    vocabularySize: 256 + definition.extraTokens.length,
    encode,
    encodeSegments: (segments) => encode(segments.map(({ text }) => text).join('')),
    ...tokenBytes(definition),
    specialTexts: [],
  };
};
