/** Where stored responses lie: a folder with one file each, or memory. */
import { randomBytes } from 'node:crypto';
import { chmod, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

export interface KnownFile {
  readonly name: string;
  readonly numBytes: number;
  /** Unix milliseconds. */
  readonly usedAtMs: number;
}

/** Every method rejects with the system's error where the disk fails. */
export interface ResponseFiles {
  list(): Promise<readonly KnownFile[]>;
  /** Undefined: there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Resolves when the whole file is there; before, and after a failure, nothing of it is. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Notes that it was used now. */
  touch(name: string): Promise<void>;
}

export class MemoryFiles implements ResponseFiles {
  readonly #files = new Map<string, Uint8Array>();

  list(): Promise<readonly KnownFile[]> {
    return Promise.resolve([]);
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#files.get(name));
  }

  write(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, bytes);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.#files.delete(name);
    return Promise.resolve();
  }

  touch(): Promise<void> {
    return Promise.resolve();
  }
}

const SUFFIX = '.response';
const TEMPORARY_SUFFIX = '.tmp';
/** What a server that was killed left behind; a younger one may belong to another server that is writing it. */
const STALE_MS = 600_000;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Files that a kill leaves whole or not at all; with `fsync` a loss of power, too. Readable by this user alone. */
export class FolderFiles implements ResponseFiles {
  readonly #directory: string;
  readonly #fsync: boolean;

  constructor(directory: string, fsync: boolean) {
    this.#directory = directory;
    this.#fsync = fsync;
  }

  async list(): Promise<readonly KnownFile[]> {
    await makePrivate(this.#directory);
    const names = await readdir(this.#directory);
    const known = await Promise.all(names.map((name) => this.#look(name)));
    return known.flatMap((file) => file ?? []);
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    // Whoever cleans up under a running server takes the responses, not the server.
    await makePrivate(this.#directory);
    const temporary = `${this.#path(name)}.${randomBytes(6).toString('hex')}${TEMPORARY_SUFFIX}`;
    let file: FileHandle | undefined;
    try {
      file = await open(temporary, 'wx', 0o600);
      await file.writeFile(bytes);
      if (this.#fsync) await file.sync();
      await file.close();
      file = undefined;
      await rename(temporary, this.#path(name));
      await this.#sync();
    } catch (error) {
      await file?.close();
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
    await this.#sync();
  }

  async touch(name: string): Promise<void> {
    const now = new Date();
    try {
      await utimes(this.#path(name), now, now);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #look(entry: string): Promise<KnownFile | undefined> {
    const path = join(this.#directory, entry);
    const found = await stat(path).catch((error: unknown) => {
      // Another server's, which has just gone.
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (found === undefined || !found.isFile()) return undefined;
    if (entry.endsWith(TEMPORARY_SUFFIX)) {
      if (Math.abs(Date.now() - found.mtimeMs) > STALE_MS) await rm(path, { force: true });
      return undefined;
    }
    if (!entry.endsWith(SUFFIX)) return undefined;
    return { name: entry.slice(0, -SUFFIX.length), numBytes: found.size, usedAtMs: found.mtimeMs };
  }

  async #sync(): Promise<void> {
    // Windows opens no directories.
    if (!this.#fsync || process.platform === 'win32') return;
    const handle = await open(this.#directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  #path(name: string): string {
    return join(this.#directory, `${name}${SUFFIX}`);
  }
}

const makePrivate = async (directory: string): Promise<void> => {
  // Undefined: it was there.
  if ((await mkdir(directory, { recursive: true, mode: 0o700 })) === undefined) await chmod(directory, 0o700);
};
