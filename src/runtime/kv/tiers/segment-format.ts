/**
 * The file format of a segment: a run of KV blocks that were written together, parents before children.
 *
 *     0   8  magic            8   4  version           12  4  1: sealed with AES-256-GCM, 0: plain
 *     16  8  counter, f64     24  4  bytes of body     28  4  CRC-32 of bytes 0 to 28 and the body
 *     32     body: model fingerprint, KV format, then of each block its key, parent, token ids, payload bytes and CRC-32
 *            payloads in the same order
 *
 * All little-endian. Sealed: body and payloads are nonce, ciphertext and tag each. The counter says which of two segments is
 * newer; no clock does.
 */
import { crc32 } from 'node:zlib';
import { SEAL_BYTES, seal, unseal } from './cipher.ts';

const MAGIC = Buffer.from('FLKVSEG\n');
const VERSION = 1;
export const PREAMBLE_BYTES = 32;
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
  readonly checksum: number;
}

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
  preamble.writeUInt32LE(checksumOf([preamble.subarray(0, 28), ...body]), 28);
  return [preamble, ...body];
};

/** 'other': of another version of this format. @returns undefined for what is none, or damaged */
export const decodePreamble = (bytes: Buffer): Preamble | 'other' | undefined => {
  if (bytes.length < PREAMBLE_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (bytes.readUInt32LE(8) !== VERSION) return 'other';
  const bodyBytes = bytes.readUInt32LE(24);
  if (bodyBytes > MAX_BODY_BYTES) return undefined;
  const isSealed = bytes.readUInt32LE(12) === 1;
  return { counter: bytes.readDoubleLE(16), isSealed, bodyBytes, checksum: bytes.readUInt32LE(28) };
};

/** @returns undefined when damaged; 'other' when sealed with another key, or with one where there is none, or the reverse */
export const decodeHeader = (
  preambleBytes: Buffer,
  preamble: Preamble,
  body: Buffer,
  key: Uint8Array | undefined,
): SegmentHeader | 'other' | undefined => {
  const { counter, isSealed, bodyBytes, checksum } = preamble;
  if (body.length !== bodyBytes || checksumOf([preambleBytes.subarray(0, 28), body]) !== checksum) return undefined;
  if (isSealed !== (key !== undefined)) return 'other';
  const plain = key ? unseal(key, 'header', body) : body;
  if (!plain) return 'other';
  const decoded = decodeBody(Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength));
  return { ...decoded, counter, isSealed, headerBytes: PREAMBLE_BYTES + bodyBytes };
};

const checksumOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => crc32(part, sum), 0);

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
  const integers = (...values: number[]): void => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
    parts.push(bytes);
  };
  text(modelFingerprint);
  text(kvFormat);
  integers(blocks.length);
  for (const { key, parent, tokenIds, payloadBytes, checksum } of blocks) {
    text(key);
    text(parent ?? '');
    integers(payloadBytes, checksum, tokenIds.length, ...tokenIds);
  }
  return Buffer.concat(parts);
};

/** Of a body whose checksum is right: it has what was written. */
const decodeBody = (body: Buffer): Omit<SegmentHeader, 'counter' | 'isSealed' | 'headerBytes'> => {
  let at = 0;
  const text = (): string => {
    const end = at + 1 + body[at]!;
    const value = body.toString('utf8', at + 1, end);
    at = end;
    return value;
  };
  const integer = (): number => {
    at += 4;
    return body.readUInt32LE(at - 4);
  };
  const [modelFingerprint, kvFormat, numBlocks] = [text(), text(), integer()];
  const blocks = Array.from({ length: numBlocks }, (): SegmentBlock => {
    const [key, parent] = [text(), text() || undefined];
    const [payloadBytes, checksum] = [integer(), integer()];
    const tokenIds = Uint32Array.from({ length: integer() }, integer);
    return { key, parent, tokenIds, payloadBytes, checksum };
  });
  return { modelFingerprint, kvFormat, blocks };
};
