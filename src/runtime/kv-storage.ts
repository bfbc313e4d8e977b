/** Opens what keeps KV and sessions below the pool: memory, and the user's disk. */
import { join } from 'node:path';
import { readEncryptionKey, seal, unseal } from './kv/tiers/cipher.ts';
import { DiskTier } from './kv/tiers/disk.ts';
import { RamTier } from './kv/tiers/ram.ts';
import type { FsyncPolicy } from './kv/tiers/segment-store.ts';
import { TieredStore } from './kv/tiers/tiered-store.ts';
import type { StoredSessions } from './sessions/engine-sessions.ts';
import type { Seal } from './sessions/session-file.ts';
import { SessionStore } from './sessions/session-store.ts';

/** Where KV goes that the pool has no room for. */
export interface KvTierOptions {
  /** Memory for payloads; 0: none. */
  readonly ramBytes: number;
  /** Bytes of files; 0: nothing is written, and sessions end with the process. */
  readonly diskBytes: number;
  /** Made when it is not there, readable by this user alone. */
  readonly directory: string;
  readonly fsync: FsyncPolicy;
  /** A file with a key of 32 bytes: what is on disk is encrypted. */
  readonly keyPath?: string;
}

export interface KvStorage {
  readonly store: TieredStore;
  /** Absent without a disk. */
  readonly sessions?: StoredSessions;
}

/**
 * Reads what is on disk of the model's KV. A disk that fails makes a warning, and a tier that keeps nothing.
 * @param owner whose blocks these are: others' in the same folder are left alone
 * @param onWarning hears of files, never of content
 * @throws EngineError config_invalid: the key file cannot be used
 */
export const openKvStorage = async (
  { ramBytes, diskBytes, directory, fsync, keyPath }: KvTierOptions,
  owner: { readonly modelFingerprint: string; readonly kvFormat: string },
  onWarning: (message: string) => void,
): Promise<KvStorage> => {
  const ram = new RamTier(ramBytes);
  if (diskBytes === 0) return { store: new TieredStore([ram]) };
  const key = keyPath === undefined ? undefined : readEncryptionKey(keyPath);
  const disk = await DiskTier.open({
    ...owner,
    directory: join(directory, 'blocks'),
    fsync,
    maxBytes: diskBytes,
    ...(key ? { encryptionKey: key } : {}),
    onWarning: ({ message }) => onWarning(message),
  });
  const sessions = new SessionStore({
    directory: join(directory, 'sessions'),
    fsync: fsync === 'always',
    ...(key ? { seal: sealWith(key, SESSION_NAME) } : {}),
    onWarning,
  });
  return { store: new TieredStore([ram, disk]), sessions: { store: sessions, stored: await sessions.load() } };
};

const SESSION_NAME = 'session';

/**
 * Encrypts whole files with the key in a file, AES-256-GCM.
 * @param name what the files are, so that one kind cannot stand in for another
 * @throws EngineError config_invalid: the key file cannot be used
 */
export const openSeal = (keyPath: string, name: string): Seal => sealWith(readEncryptionKey(keyPath), name);

const sealWith = (key: Uint8Array, name: string): Seal => ({
  seal: (plain) => Buffer.concat(seal(key, name, plain)),
  open: (sealed) => {
    const plain = unseal(key, name, sealed);
    if (plain === undefined) throw new Error('it was written with another key, or changed');
    return plain;
  },
});
