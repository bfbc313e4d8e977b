/** Names a full KV block by its content, so that equal prefixes of different sequences find each other. */
import { createHash } from 'node:crypto';
import type { KvGeometry } from '../model-runner.ts';

/** A hex digest of 128 bits. */
export type BlockKey = string;

const digest = (parent: string, content: Uint8Array | string): BlockKey =>
  createHash('sha256').update(parent).update(content).digest('hex').slice(0, 32);

/** The parent of every sequence's first block: KV of another model or format never matches. */
export const rootKey = (modelFingerprint: string, kvFormat: string): BlockKey =>
  digest(`${modelFingerprint}:`, kvFormat);

/** The key of the block that holds `tokenIds` after the blocks that `parent` stands for. */
export const childKey = (parent: BlockKey, tokenIds: Uint32Array): BlockKey =>
  digest(parent, new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength));

/** The key of one layer group's part of a block. */
export const groupKey = (key: BlockKey, group: number): BlockKey => (group === 0 ? key : `${key}.${group}`);

/** The KV format with the layout of its blocks: what is kept for one layout is of no use to another. */
export const kvLayout = (kvFormat: string, { blockSize, blockBytes, groups }: KvGeometry): string =>
  `${kvFormat}, ${JSON.stringify([blockSize, blockBytes, groups])}`;
