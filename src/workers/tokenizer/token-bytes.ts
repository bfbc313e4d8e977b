/** What each token of a vocabulary writes. */
import { CHARACTER_BYTES } from './byte-alphabet.ts';
import { TOKEN_TYPE, type TokenizerDefinition, type VocabularyDefinition } from './definition.ts';

/** Control tokens that the output parser must see as text, whatever type a file gives them. */
const VISIBLE_CONTROL = new Set(['<think>', '</think>', '<tool_call>', '</tool_call>']);
/** U+2581, which SentencePiece vocabularies write a space with. */
const SPACE_MARK = /▁/g;
const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;

const NO_BYTES = new Uint8Array();
const encoder = new TextEncoder();

/** True for tokens that stand for something else than their letters: user text must not make them, and they write nothing. */
export const isHiddenToken = (definition: VocabularyDefinition, tokenId: number): boolean => {
  const type = definition.tokenTypes[tokenId];
  const isControl = type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown;
  return isControl && !VISIBLE_CONTROL.has(definition.tokens[tokenId]!);
};

/** The bytes a token id writes, which need not be whole UTF-8; none for control tokens and ids beyond the vocabulary. */
export const createTokenBytes = (definition: TokenizerDefinition): ((tokenId: number) => Uint8Array) => {
  if (definition.model === 'bytes') {
    return (tokenId) => (tokenId < 256 ? Uint8Array.of(tokenId) : (definition.extraTokens[tokenId - 256] ?? NO_BYTES));
  }
  const known: Uint8Array[] = [];
  return (tokenId) => {
    known[tokenId] ??= bytesOf(definition, tokenId);
    return known[tokenId];
  };
};

const bytesOf = (definition: VocabularyDefinition, tokenId: number): Uint8Array => {
  const token = definition.tokens[tokenId];
  if (token === undefined || isHiddenToken(definition, tokenId)) return NO_BYTES;
  const type = definition.tokenTypes[tokenId];
  if (type === TOKEN_TYPE.userDefined || type === TOKEN_TYPE.control) return encoder.encode(token);
  if (definition.model === 'gpt2') return byteLevelBytes(token);
  const byte = type === TOKEN_TYPE.byte ? BYTE_PIECE.exec(token)?.[1] : undefined;
  return byte === undefined ? encoder.encode(token.replace(SPACE_MARK, ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
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
