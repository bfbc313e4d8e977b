/**
 * A session as bytes: "FLSN", u32 version, SHA-256 of the rest, then (sealed, where there is a key) u32 length of the
 * head, the head as JSON, and the token ids of each conversation as u32. Little-endian.
 */
import { createHash } from 'node:crypto';
import { Session, type SessionHead } from './session.ts';
import { Timeline, type TimelineState } from './timeline.ts';

/** Encrypts what is kept on disk. */
export interface Seal {
  seal(plain: Uint8Array): Uint8Array;
  /** @throws when the bytes were sealed with another key, or changed */
  open(sealed: Uint8Array): Uint8Array;
}

interface FileHead {
  readonly session: SessionHead;
  readonly timelines: readonly (Omit<TimelineState, 'tokenIds'> & { readonly numTokens: number })[];
}

const MAGIC = 'FLSN';
const VERSION = 1;
const PAYLOAD_START = 40;
const UINT32_BYTES = 4;

export const encodeSession = ({ head, timelines }: Session, seal?: Seal): Uint8Array => {
  const states = timelines.map(({ state }) => state);
  const fileHead: FileHead = {
    session: head,
    timelines: states.map(({ tokenIds, ...state }) => ({ ...state, numTokens: tokenIds.length })),
  };
  const json = Buffer.from(JSON.stringify(fileHead));
  const length = Buffer.alloc(UINT32_BYTES);
  length.writeUInt32LE(json.length);
  const plain = Buffer.concat([length, json, ...states.map(({ tokenIds }) => bytesOf(tokenIds))]);
  const payload = seal === undefined ? plain : seal.seal(plain);
  const version = Buffer.alloc(UINT32_BYTES);
  version.writeUInt32LE(VERSION);
  return Buffer.concat([Buffer.from(MAGIC), version, checksum(payload), payload]);
};

/** @throws Error saying what is wrong with the bytes */
export const decodeSession = (file: Uint8Array, seal?: Seal): Session => {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < PAYLOAD_START || bytes.toString('latin1', 0, 4) !== MAGIC) throw new Error('it is no session');
  const version = bytes.readUInt32LE(4);
  if (version !== VERSION) throw new Error(`it has version ${version}, this server reads ${VERSION}`);
  const payload = bytes.subarray(PAYLOAD_START);
  if (!checksum(payload).equals(bytes.subarray(8, PAYLOAD_START))) throw new Error('it is damaged');
  const plain = Buffer.from(seal === undefined ? payload : seal.open(payload));
  const headEnd = UINT32_BYTES + plain.readUInt32LE(0);
  const { session, timelines } = parseHead(plain.toString('utf8', UINT32_BYTES, headEnd));
  let start = headEnd;
  return new Session(
    session,
    timelines.map(({ numTokens, ...state }) => {
      const end = start + numTokens * UINT32_BYTES;
      if (end > plain.length) throw new Error('it is cut off');
      const timeline = new Timeline({ ...state, tokenIds: tokensOf(plain.subarray(start, end)) });
      timeline.stored = timeline.state;
      start = end;
      return timeline;
    }),
  );
};

const parseHead = (json: string): FileHead => {
  try {
    return JSON.parse(json) as FileHead;
  } catch {
    // The parser's own message would quote it.
    throw new Error('it is sealed with a key that this server does not have');
  }
};

const checksum = (payload: Uint8Array): Buffer => createHash('sha256').update(payload).digest();

export const bytesOf = (tokenIds: Uint32Array): Uint8Array =>
  new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength);

/** A copy, aligned. */
export const tokensOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(Uint8Array.from(bytes).buffer);
