/**
 * A conversation with its KV as one portable file: "FLSA", u32 version, u32 length of the head, the head as JSON, token
 * ids as u32, the blocks one after the other, SHA-256 of all that. Little-endian. It names no owner.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EngineError } from '../errors.ts';
import type { KvIdentity } from './cache-miss.ts';
import type { ChainBlock } from './kv-chains.ts';
import { bytesOf, tokensOf } from './session-file.ts';

export interface SessionArchive {
  readonly identity: KvIdentity;
  /** As it was called where it comes from. */
  readonly id: string;
  readonly numPromptTokens: number;
  readonly tokenIds: Uint32Array;
  readonly blocks: readonly ChainBlock[];
}

const MAGIC = 'FLSA';
const VERSION = 1;
const HEAD_START = 12;
const DIGEST_BYTES = 32;
/** One buffer holds the file on its way between threads. */
const MAX_ARCHIVE_BYTES = 1024 ** 3;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const headSchema = z.object({
  modelFingerprint: z.string().max(256),
  kvFormat: z.string().max(64),
  id: z.string().max(1024),
  numTokens: count,
  numPromptTokens: count,
  blocks: z.array(
    z.object({ firstToken: count, numTokens: count, group: count, numBytes: count, sha256: z.string().length(64) }),
  ),
});

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** @throws EngineError conflict when the file would be too large */
export const encodeArchive = ({ identity, id, numPromptTokens, tokenIds, blocks }: SessionArchive): Uint8Array => {
  const head = Buffer.from(
    JSON.stringify({
      ...identity,
      id,
      numPromptTokens,
      numTokens: tokenIds.length,
      blocks: blocks.map(({ bytes, ...block }) => ({
        ...block,
        numBytes: bytes.length,
        sha256: sha256(bytes).toString('hex'),
      })),
    }),
  );
  const numBytes = blocks.reduce((sum, { bytes }) => sum + bytes.length, head.length + tokenIds.byteLength);
  if (numBytes > MAX_ARCHIVE_BYTES) {
    const message = `the session's KV takes ${numBytes} bytes, a file holds ${MAX_ARCHIVE_BYTES}; fork it from a shorter one`;
    throw new EngineError('conflict', message, { reason: 'session_too_large' });
  }
  const start = Buffer.alloc(HEAD_START);
  start.write(MAGIC, 'latin1');
  start.writeUInt32LE(VERSION, 4);
  start.writeUInt32LE(head.length, 8);
  const body = Buffer.concat([start, head, bytesOf(tokenIds), ...blocks.map(({ bytes }) => bytes)]);
  return Buffer.concat([body, sha256(body)]);
};

/**
 * @param now what KV must belong to here
 * @throws EngineError invalid_request: the file is damaged, or its KV belongs to another model or format
 */
export const decodeArchive = (file: Uint8Array, now: KvIdentity): SessionArchive => {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const end = bytes.length - DIGEST_BYTES;
  if (end < HEAD_START || bytes.toString('latin1', 0, 4) !== MAGIC) throw refused('is no exported session');
  const version = bytes.readUInt32LE(4);
  if (version !== VERSION) throw refused(`has version ${version}; this server reads version ${VERSION}`);
  if (!sha256(bytes.subarray(0, end)).equals(bytes.subarray(end))) throw refused('is damaged; export it again');
  const headEnd = HEAD_START + bytes.readUInt32LE(8);
  const head = parseHead(bytes.toString('utf8', HEAD_START, headEnd));
  refuseOthers(head, now);
  const tokensEnd = headEnd + head.numTokens * Uint32Array.BYTES_PER_ELEMENT;
  const numBlockBytes = head.blocks.reduce((sum, { numBytes }) => sum + numBytes, 0);
  if (tokensEnd + numBlockBytes !== end) throw refused('does not hold what its head says; export it again');
  let start = tokensEnd;
  const blocks = head.blocks.map(({ numBytes, sha256: digest, ...block }) => {
    const content = bytes.subarray(start, start + numBytes);
    start += numBytes;
    if (sha256(content).toString('hex') !== digest) throw refused('has a damaged block; export it again');
    return { ...block, bytes: content };
  });
  const { modelFingerprint, kvFormat, id, numPromptTokens } = head;
  const tokenIds = tokensOf(bytes.subarray(headEnd, tokensEnd));
  return { identity: { modelFingerprint, kvFormat }, id, numPromptTokens, tokenIds, blocks };
};

const parseHead = (json: string): z.output<typeof headSchema> => {
  try {
    return headSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw new EngineError('invalid_request', message('has a head that cannot be read'), REFUSAL, { cause });
  }
};

const refuseOthers = (then: KvIdentity, now: KvIdentity): void => {
  if (then.modelFingerprint !== now.modelFingerprint)
    throw refused(`belongs to another model (${then.modelFingerprint}); this server has ${now.modelFingerprint}`);
  if (then.kvFormat !== now.kvFormat)
    throw refused(`has KV of format ${then.kvFormat}; start the server with that, it has ${now.kvFormat}`);
};

const REFUSAL = { param: 'file', reason: 'session_file_refused' };
const message = (what: string): string => `the session file ${what}`;
const refused = (what: string): EngineError => new EngineError('invalid_request', message(what), REFUSAL);
