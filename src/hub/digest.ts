/** What the hub calls a file's ETag: SHA-256 of large files, git's blob hash of small ones. */
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { EngineError } from '../runtime/errors.ts';

const READ_BYTES = 4 * 1024 * 1024;
const SHA256 = /^[0-9a-f]{64}$/;
const SHA1 = /^[0-9a-f]{40}$/;

/** True for what content can be checked against. */
export const isDigest = (etag: string): boolean => SHA256.test(etag) || SHA1.test(etag);

/** Without quotes and weakness mark; undefined where the header is absent. */
export const plainEtag = (header: string | null): string | undefined =>
  header?.trim().replace(/^W\//, '').replaceAll('"', '') || undefined;

export interface DigestOptions {
  readonly onBytes?: (numBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether a file's content has the digest; undefined when `etag` is none, so that nothing can be said.
 * 40 digits are git's blob hash, or the plain SHA-1 that some mirrors give.
 * @throws EngineError model_not_found when the file is not there; aborted
 */
export const matchesDigest = async (
  path: string,
  etag: string,
  options: DigestOptions = {},
): Promise<boolean | undefined> => {
  if (!isDigest(etag)) return undefined;
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new EngineError('model_not_found', `${path}: cannot be opened: ${String(cause)}`, {}, { cause });
  });
  try {
    const { size } = await file.stat();
    const hashes = SHA256.test(etag)
      ? [createHash('sha256')]
      : [createHash('sha1').update(`blob ${size}\0`), createHash('sha1')];
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(size, 1)));
    for (let position = 0; ; ) {
      if (options.signal?.aborted) throw new EngineError('aborted', `checking ${path} was stopped`);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) break;
      for (const hash of hashes) hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
      options.onBytes?.(bytesRead);
    }
    return hashes.some((hash: Hash) => hash.digest('hex') === etag);
  } finally {
    await file.close();
  }
};
