/** Text to token ids and token ids to bytes, for every kind of vocabulary. */
import { EngineError } from '../../runtime/errors.ts';
import { byteLevelBpe, byteLevelBytes } from './byte-level-bpe.ts';
import { type ByteDefinition, TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from './definition.ts';
import { sentencePieceBpe, sentencePieceBytes } from './sentencepiece-bpe.ts';
import { fragments, type Segment, type SpecialTokens } from './special-tokens.ts';

export interface EncodeOptions {
  /** Turn special tokens found in the text into their ids; else they are plain text. */
  readonly parseSpecial: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /** Token ids of the text, without BOS or EOS. Linear in the text. */
  encode(text: string, options: EncodeOptions): Uint32Array;
  /** Encodes the joined segments; special tokens count only outside literal ones. */
  encodeSegments(segments: readonly Segment[]): Uint32Array;
  /** The token's own bytes, which need not be whole UTF-8; empty for an id outside the vocabulary. */
  bytesOf(tokenId: number): Uint8Array;
  /** True for tokens that steer the model and have no text to show. */
  isControl(tokenId: number): boolean;
  /** Texts that count as special tokens outside literal text. */
  readonly specialTexts: readonly string[];
}

/** @throws EngineError model_file_invalid, model_unsupported */
export const createTokenizer = (definition: TokenizerDefinition): Tokenizer =>
  definition.model === 'bytes' ? byteTokenizer(definition) : vocabularyTokenizer(definition);

const LOOKS_LIKE_MARKUP = /^[<[].*[>\]]$/s;

const specialTokens = ({ tokens, tokenTypes }: VocabularyDefinition): SpecialTokens => {
  const markup = new Map<string, number>();
  const everywhere = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token === '') continue;
    if (tokenTypes[id] === TOKEN_TYPE.control) markup.set(token, id);
    if (tokenTypes[id] === TOKEN_TYPE.userDefined) (LOOKS_LIKE_MARKUP.test(token) ? markup : everywhere).set(token, id);
  }
  return { markup, everywhere };
};

const vocabularyTokenizer = (definition: VocabularyDefinition): Tokenizer => {
  const { tokens, tokenTypes, model } = definition;
  if (tokenTypes.length !== tokens.length) {
    throw new EngineError(
      'model_file_invalid',
      `tokenizer.ggml.token_type has ${tokenTypes.length} entries, the vocabulary ${tokens.length}`,
    );
  }
  const special = specialTokens(definition);
  const encodeText = model === 'gpt2' ? byteLevelBpe(definition) : sentencePieceBpe(definition);
  const bytes = new Array<Uint8Array | undefined>(tokens.length);

  const encodeSegments = (segments: readonly Segment[]): Uint32Array => {
    const ids: number[] = [];
    let beginsFragment = true;
    for (const fragment of fragments(segments, special)) {
      if ('tokenId' in fragment) ids.push(fragment.tokenId);
      else for (const id of encodeText(fragment.text, beginsFragment)) ids.push(id);
      beginsFragment = 'tokenId' in fragment;
    }
    return Uint32Array.from(ids);
  };

  return {
    vocabularySize: tokens.length,
    encodeSegments,
    encode: (text, { parseSpecial }) => encodeSegments([{ text, isLiteral: !parseSpecial }]),
    bytesOf(tokenId) {
      const token = tokens[tokenId];
      if (token === undefined) return EMPTY;
      bytes[tokenId] ??= bytesOfToken(model, token, tokenTypes[tokenId]!);
      return bytes[tokenId];
    },
    isControl: (tokenId) => tokenTypes[tokenId] === TOKEN_TYPE.control || tokenTypes[tokenId] === TOKEN_TYPE.unknown,
    specialTexts: [...special.markup.keys()],
  };
};

const EMPTY = new Uint8Array(0);

const bytesOfToken = (model: 'llama' | 'gpt2', token: string, type: number): Uint8Array => {
  if (model === 'llama') return sentencePieceBytes(token, type);
  const inAlphabet = type === TOKEN_TYPE.normal ? byteLevelBytes(token) : undefined;
  return inAlphabet ?? new TextEncoder().encode(token);
};

const byteTokenizer = ({ extraTokens, endTokenIds, roleTokenIds }: ByteDefinition): Tokenizer => {
  const control = new Set([...endTokenIds, ...Object.values(roleTokenIds)]);
  const encode = (text: string): Uint32Array => Uint32Array.from(new TextEncoder().encode(text));
  return {
    vocabularySize: 256 + extraTokens.length,
    encode,
    encodeSegments: (segments) => encode(segments.map(({ text }) => text).join('')),
    bytesOf: (tokenId) => (tokenId < 256 ? Uint8Array.of(tokenId) : (extraTokens[tokenId - 256] ?? EMPTY)),
    isControl: (tokenId) => control.has(tokenId),
    specialTexts: [],
  };
};
