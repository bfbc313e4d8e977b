/** Turns tokens' bytes into text as they come: only whole characters leave. */
import type { TokenPiece } from '../runtime/api.ts';
import type { TokenBytes } from './tokenizer/token-bytes.ts';

export interface Detokenized {
  readonly text: string;
  /** The beginning of a character whose other bytes are still to come: 0 to 3 bytes. */
  readonly pending: Uint8Array<ArrayBuffer>;
}

const NO_BYTES = new Uint8Array();
// A byte order mark is text like any other here.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The text of `pending` and the next token's bytes together. Invalid bytes become U+FFFD as the WHATWG decoder makes
 * them; the result does not depend on how the bytes are split into tokens.
 */
export const detokenize = (pending: Uint8Array, bytes: Uint8Array): Detokenized => {
  const all = pending.length === 0 ? bytes : concatenate(pending, bytes);
  const end = all.length - incompleteTail(all);
  return {
    text: decoder.decode(all.subarray(0, end)),
    pending: end === all.length ? NO_BYTES : Uint8Array.from(all.subarray(end)),
  };
};

/** The text of bytes that no others will follow. */
export const flushPending = (pending: Uint8Array): string => decoder.decode(pending);

/** The text of whole tokens; a character that is cut at either end becomes U+FFFD. */
export const decodeTokens = (tokens: TokenBytes, tokenIds: readonly number[]): string =>
  decoder.decode(Buffer.concat(tokenIds.map((id) => tokens.bytesOf(id))));

const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Each token's text, or its bytes where they are no whole UTF-8. */
export const tokenPieces = (tokens: TokenBytes, tokenIds: ArrayLike<number>): TokenPiece[] =>
  Array.from(tokenIds, (id) => {
    const bytes = tokens.bytesOf(id);
    try {
      return strictDecoder.decode(bytes);
    } catch {
      return bytes;
    }
  });

/** Bytes at the end that begin a character and could still be completed. */
const incompleteTail = (bytes: Uint8Array): number => {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length]!;
    if ((byte & 0xc0) === 0x80) continue;
    return length < sequenceLength(byte) && isPossiblePair(byte, bytes[bytes.length - length + 1]) ? length : 0;
  }
  return 0;
};

/** Bytes of the character that `lead` begins; 1 also for bytes that begin none. */
const sequenceLength = (lead: number): number => {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
};

/** Some second bytes would make an overlong form, a surrogate, or a number beyond U+10FFFF. Source: Unicode, table 3-7. */
const isPossiblePair = (lead: number, second: number | undefined): boolean => {
  if (second === undefined) return true;
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second < 0xa0;
  if (lead === 0xf0) return second >= 0x90;
  return lead !== 0xf4 || second < 0x90;
};

const concatenate = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
};
