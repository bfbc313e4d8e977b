/**
 * The file format of a segment: a run of KV blocks that were written together, parents before children.
 *
 *     0   8  magic            8   4  version           12  4  1: sealed with AES-256-GCM, 0: plain
 *     16  8  counter, f64     24  4  bytes of body     28  8  bytes of payloads, f64
 *     36  4  CRC-32 of bytes 0 to 36 and the body
 *     40     body: number of token ids, token ids of all blocks, model fingerprint, KV format, then of each block its key,
 *            parent (length 255: the block before), payload bytes, CRC-32 and number of token ids
 *            payloads in the same order
 *
 * All little-endian. Sealed: body and payloads are nonce, ciphertext and tag each. The counter says which of two segments is
 * newer; no clock does.
 */
import { crc32 } from 'node:zlib';
import { SEAL_BYTES, seal, unseal } from './cipher.ts';
import type { Bytes } from './payload.ts';

const MAGIC = Buffer.from('FLKVSEG\n');
const VERSION = 1;
export const PREAMBLE_BYTES = 40;
const CHECKED_BYTES = PREAMBLE_BYTES - 4;
/** A body is far smaller; more is damage. */
const MAX_BODY_BYTES = 64 * 1024 ** 2;

export interface SegmentOwner {
  readonly modelFingerprint: string;
  readonly kvFormat: string;
}

export interface SegmentBlock {
  readonly key: string;
  readonly parent: string | undefined;
  readonly tokenIds: Uint32Array;
  readonly payloadBytes: number;
  /** Of the plain payload; 0 in a sealed segment, whose tags say more. */
  readonly checksum: number;
}

export interface SegmentHeader extends SegmentOwner {
  readonly counter: number;
  readonly isSealed: boolean;
  readonly blocks: readonly SegmentBlock[];
  /** Where the first payload begins. */
  readonly headerBytes: number;
}

export interface Preamble {
  readonly counter: number;
  readonly isSealed: boolean;
  readonly bodyBytes: number;
  /** Of the whole file, as it was written. */
  readonly fileBytes: number;
  readonly checksum: number;
}

/** A header as far as a scan needs it: its blocks take `decodeBody`, which need not run in the same thread. */
export interface RawHeader {
  readonly counter: number;
  readonly isSealed: boolean;
  readonly headerBytes: number;
  /** Of the whole file, as it was written. */
  readonly fileBytes: number;
  /** Plain, with a buffer of its own. */
  readonly body: Bytes;
}

/** What a block takes in the header and in seals, beside its token ids: at most. */
export const HEADER_BYTES = 512;

/** Bytes that a payload takes in the file. */
export const storedBytes = (payloadBytes: number, isSealed: boolean): number =>
  payloadBytes + (isSealed ? SEAL_BYTES : 0);

/** The file's parts, to be written one after another. */
export const encodeHeader = (
  header: Omit<SegmentHeader, 'headerBytes' | 'isSealed'>,
  key?: Uint8Array,
): Uint8Array[] => {
  const plain = encodeBody(header);
  const body = key ? seal(key, 'header', plain) : [plain];
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  MAGIC.copy(preamble);
  preamble.writeUInt32LE(VERSION, 8);
  preamble.writeUInt32LE(key ? 1 : 0, 12);
  preamble.writeDoubleLE(header.counter, 16);
  preamble.writeUInt32LE(storedBytes(plain.length, key !== undefined), 24);
  const payloadBytes = header.blocks.map((block) => storedBytes(block.payloadBytes, key !== undefined));
  preamble.writeDoubleLE(
    payloadBytes.reduce((sum, bytes) => sum + bytes, 0),
    28,
  );
  preamble.writeUInt32LE(checksumOf([preamble.subarray(0, CHECKED_BYTES), ...body]), CHECKED_BYTES);
  return [preamble, ...body];
};

/** 'other': of another version of this format. @returns undefined for what is none, or damaged */
export const decodePreamble = (bytes: Buffer): Preamble | 'other' | undefined => {
  if (bytes.length < PREAMBLE_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (bytes.readUInt32LE(8) !== VERSION) return 'other';
  const bodyBytes = bytes.readUInt32LE(24);
  if (bodyBytes > MAX_BODY_BYTES) return undefined;
  return {
    counter: bytes.readDoubleLE(16),
    isSealed: bytes.readUInt32LE(12) === 1,
    bodyBytes,
    fileBytes: PREAMBLE_BYTES + bodyBytes + bytes.readDoubleLE(28),
    checksum: bytes.readUInt32LE(CHECKED_BYTES),
  };
};

/** @returns undefined when damaged; 'other' when sealed with another key, or with one where there is none, or the reverse */
export const decodeHeader = (
  preambleBytes: Buffer,
  { counter, isSealed, bodyBytes, fileBytes, checksum }: Preamble,
  body: Buffer,
  key: Uint8Array | undefined,
): RawHeader | 'other' | undefined => {
  if (body.length !== bodyBytes || checksumOf([preambleBytes.subarray(0, CHECKED_BYTES), body]) !== checksum)
    return undefined;
  if (isSealed !== (key !== undefined)) return 'other';
  const plain = key ? unseal(key, 'header', body) : new Uint8Array(body);
  return plain ? { counter, isSealed, headerBytes: PREAMBLE_BYTES + bodyBytes, fileBytes, body: plain } : 'other';
};

const checksumOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => crc32(part, sum), 0);

const SAME_AS_BEFORE = 255;

const encodeBody = ({
  modelFingerprint,
  kvFormat,
  blocks,
}: Omit<SegmentHeader, 'headerBytes' | 'isSealed'>): Buffer => {
  const parts: Uint8Array[] = [];
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    parts.push(Uint8Array.of(bytes.length), bytes);
  };
  const integers = (values: readonly number[]): void => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
    parts.push(bytes);
  };
  const tokenIds = blocks.flatMap((block) => [...block.tokenIds]);
  integers([tokenIds.length, ...tokenIds]);
  text(modelFingerprint);
  text(kvFormat);
  integers([blocks.length]);
  for (const [i, block] of blocks.entries()) {
    text(block.key);
    if (i > 0 && block.parent === blocks[i - 1]!.key) parts.push(Uint8Array.of(SAME_AS_BEFORE));
    else text(block.parent ?? '');
    integers([block.payloadBytes, block.checksum, block.tokenIds.length]);
  }
  return Buffer.concat(parts);
};

/** Of a body whose checksum is right: it has what was written. Token ids are views of it. */
export const decodeBody = ({ buffer, byteLength }: Bytes): Pick<SegmentHeader, 'blocks' | keyof SegmentOwner> => {
  const body = Buffer.from(buffer, 0, byteLength);
  const allTokenIds = new Uint32Array(buffer, 4, body.readUInt32LE(0));
  let at = 4 + allTokenIds.byteLength;
  const text = (): string => {
    const end = at + 1 + body[at]!;
    const value = body.toString('latin1', at + 1, end);
    at = end;
    return value;
  };
  const integer = (): number => {
    at += 4;
    return body.readUInt32LE(at - 4);
  };
  const [modelFingerprint, kvFormat, numBlocks] = [text(), text(), integer()];
  const blocks: SegmentBlock[] = [];
  let numTokenIds = 0;
  let before: string | undefined;
  for (let i = 0; i < numBlocks; i++) {
    const key = text();
    const isNext = body[at] === SAME_AS_BEFORE;
    if (isNext) at++;
    const parent = isNext ? before : text() || undefined;
    const [payloadBytes, checksum] = [integer(), integer()];
    const start = numTokenIds;
    numTokenIds += integer();
    blocks.push({ key, parent, payloadBytes, checksum, tokenIds: allTokenIds.subarray(start, numTokenIds) });
    before = key;
  }
  return { modelFingerprint, kvFormat, blocks };
};
