/**
 * A stored response as bytes: "FLRS", u32 version, SHA-256 of the rest, then (sealed, where there is a key) the owner and
 * the record as JSON. Little-endian.
 */
import { createHash } from 'node:crypto';
import type { ResponseRecord } from './response-record.ts';

/** Encrypts what is kept on disk. */
export interface Seal {
  seal(plain: Uint8Array): Uint8Array;
  /** @throws when the bytes were sealed with another key, or changed */
  open(sealed: Uint8Array): Uint8Array;
}

const MAGIC = 'FLRS';
const VERSION = 1;
const PAYLOAD_START = 40;

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Digests alone: whose response it is, is nobody else's business, and an owner finds only its own. */
export const fileName = (owner: string, id: string): string =>
  createHash('sha256').update(`${owner}\0${id}`).digest('hex').slice(0, 40);

export const encodeRecord = (owner: string, record: ResponseRecord, seal?: Seal): Uint8Array => {
  const plain = Buffer.from(JSON.stringify({ owner, ...record }));
  const payload = seal === undefined ? plain : seal.seal(plain);
  const head = Buffer.alloc(PAYLOAD_START);
  head.write(MAGIC, 'latin1');
  head.writeUInt32LE(VERSION, 4);
  head.set(sha256(payload), 8);
  return Buffer.concat([head, payload]);
};

/** @throws Error saying what is wrong with the bytes */
export const decodeRecord = (file: Uint8Array, owner: string, id: string, seal?: Seal): ResponseRecord => {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < PAYLOAD_START || bytes.toString('latin1', 0, 4) !== MAGIC) throw new Error('it is no response');
  const version = bytes.readUInt32LE(4);
  if (version !== VERSION) throw new Error(`it has version ${version}, this server reads ${VERSION}`);
  const payload = bytes.subarray(PAYLOAD_START);
  if (!sha256(payload).equals(bytes.subarray(8, PAYLOAD_START))) throw new Error('it is damaged');
  const record = parse(Buffer.from(seal === undefined ? payload : seal.open(payload)));
  if (record.owner !== owner || record.response.id !== id) throw new Error('it belongs to another response');
  return { response: record.response, input: record.input, previousId: record.previousId };
};

const parse = (plain: Buffer): ResponseRecord & { readonly owner: string } => {
  try {
    return JSON.parse(plain.toString());
  } catch {
    // The parser's own message would quote it.
    throw new Error('it is sealed with a key that this server does not have');
  }
};
