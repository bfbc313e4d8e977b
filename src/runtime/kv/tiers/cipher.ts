/** Encryption of cached blocks at rest: AES-256-GCM, and the file its key comes from. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { EngineError } from '../../errors.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What sealing adds to a text: nonce before it, tag after it. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;

/**
 * Reads a key of 32 bytes: as they are, or as 64 hex digits.
 * @throws EngineError config_invalid when the file cannot be read or holds anything else
 */
export const readEncryptionKey = (path: string): Buffer<ArrayBuffer> => {
  const remedy = `write one with: head -c ${KEY_BYTES} /dev/urandom > ${path}`;
  let content: Buffer<ArrayBuffer>;
  try {
    content = readFileSync(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError(
      'config_invalid',
      `the key file ${path} cannot be read (${reason}); ${remedy}`,
      {},
      { cause },
    );
  }
  if (content.length === KEY_BYTES) return content;
  const text = content.toString('latin1').trim();
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  const found = `${content.length} bytes`;
  throw new EngineError(
    'config_invalid',
    `the key file ${path} holds ${found}, not ${KEY_BYTES} bytes or ${2 * KEY_BYTES} hex digits; ${remedy}`,
  );
};

/** Nonce, ciphertext and tag, in parts to be written one after another. `name` is not secret, and bound to the text. */
export const seal = (key: Uint8Array, name: string, text: Uint8Array): Uint8Array[] => {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  const sealed = cipher.update(text);
  cipher.final();
  return [nonce, sealed, cipher.getAuthTag()];
};

/** The text that was sealed, in memory of its own; undefined when key, name or a single bit differ. */
export const unseal = (key: Uint8Array, name: string, sealed: Uint8Array): Uint8Array<ArrayBuffer> | undefined =>
  sealed.length < SEAL_BYTES ? undefined : open(key, name, sealed, new Uint8Array(sealed.length - SEAL_BYTES));

/** Likewise, where the sealed text was. */
export const unsealInPlace = <Memory extends ArrayBufferLike>(
  key: Uint8Array,
  name: string,
  sealed: Uint8Array<Memory>,
): Uint8Array<Memory> | undefined => {
  if (sealed.length < SEAL_BYTES) return undefined;
  return open(key, name, sealed, sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
};

/** Parts that the processor's caches hold. */
const PART_BYTES = 64 * 1024;

const open = <Memory extends ArrayBufferLike>(
  key: Uint8Array,
  name: string,
  sealed: Uint8Array,
  text: Uint8Array<Memory>,
): Uint8Array<Memory> | undefined => {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(name))
    .setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  for (let at = 0; at < text.length; at += PART_BYTES) {
    const end = Math.min(at + PART_BYTES, text.length);
    text.set(decipher.update(sealed.subarray(NONCE_BYTES + at, NONCE_BYTES + end)), at);
  }
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return text;
};
