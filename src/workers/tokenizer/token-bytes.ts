/** What each token of a vocabulary writes; all that a thread needs which only samples. */
import { CHARACTER_BYTES } from './byte-alphabet.ts';
import { type ByteDefinition, TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from './definition.ts';

export interface TokenBytes {
  /** The token's own bytes, which need not be whole UTF-8; empty for an id outside the vocabulary. */
  bytesOf(tokenId: number): Uint8Array;
  /** True for tokens that steer the model and have no text to show. */
  isControl(tokenId: number): boolean;
}

/** U+2581, which SentencePiece vocabularies write a space with. */
const SPACE_MARK = /▁/g;
const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;

const NO_BYTES = new Uint8Array();
const encoder = new TextEncoder();

export const tokenBytes = (definition: TokenizerDefinition): TokenBytes =>
  definition.model === 'bytes' ? scriptBytes(definition) : vocabularyBytes(definition);

/** The byte that a SentencePiece byte token stands for. */
const byteOfPiece = (token: string): number | undefined => {
  const digits = BYTE_PIECE.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
};

/** [256] the token of each byte, where the vocabulary has one. */
export const byteTokenIds = ({ tokens, tokenTypes }: VocabularyDefinition): readonly (number | undefined)[] => {
  const ids = new Array<number | undefined>(256).fill(undefined);
  for (const [id, token] of tokens.entries()) {
    const byte = tokenTypes[id] === TOKEN_TYPE.byte ? byteOfPiece(token) : undefined;
    if (byte !== undefined) ids[byte] = id;
  }
  return ids;
};

const vocabularyBytes = ({ model, tokens, tokenTypes }: VocabularyDefinition): TokenBytes => {
  const known: Uint8Array[] = [];
  const bytesOfText = (token: string, type: number | undefined): Uint8Array => {
    if (type === TOKEN_TYPE.userDefined || type === TOKEN_TYPE.control) return encoder.encode(token);
    if (model === 'gpt2') return byteLevelBytes(token);
    const byte = type === TOKEN_TYPE.byte ? byteOfPiece(token) : undefined;
    return byte === undefined ? encoder.encode(token.replace(SPACE_MARK, ' ')) : Uint8Array.of(byte);
  };
  return {
    bytesOf(tokenId) {
      const token = tokens[tokenId];
      if (token === undefined) return NO_BYTES;
      known[tokenId] ??= bytesOfText(token, tokenTypes[tokenId]);
      return known[tokenId];
    },
    isControl: (tokenId) => tokenTypes[tokenId] === TOKEN_TYPE.control || tokenTypes[tokenId] === TOKEN_TYPE.unknown,
  };
};

/** A character outside the alphabet stands for its own UTF-8. */
const byteLevelBytes = (token: string): Uint8Array => {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = CHARACTER_BYTES.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
};

const scriptBytes = (definition: ByteDefinition): TokenBytes => {
  const { extraTokens, endTokenIds, roleTokenIds, specialTokens = {} } = definition;
  const control = new Set([...endTokenIds, ...Object.values(roleTokenIds), ...Object.values(specialTokens)]);
  return {
    bytesOf: (tokenId) => (tokenId < 256 ? Uint8Array.of(tokenId) : (extraTokens[tokenId - 256] ?? NO_BYTES)),
    isControl: (tokenId) => control.has(tokenId),
  };
};
