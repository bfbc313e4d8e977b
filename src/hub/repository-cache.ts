/** One repository's folder in the hub's cache: blobs by ETag, snapshots of links to them by commit, refs by revision. */
import type { Dirent } from 'node:fs';
import {
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';

/** A file of a snapshot whose content is there. */
export interface CachedFile {
  /** In the repository, with forward slashes. */
  readonly path: string;
  readonly sizeBytes: number;
  /** The snapshot's own entry, mostly a link. */
  readonly location: string;
  /** Undefined where the entry is a copy: nobody wrote down of what. */
  readonly etag: string | undefined;
}

/** Where links cannot be made, files are copied. */
const NO_LINKS = new Set(['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'UNKNOWN', 'EINVAL']);
const PREFIX = 'models--';

/** Source: huggingface_hub's documentation, "Understand caching". */
export class RepositoryCache {
  readonly repository: string;
  readonly folder: string;
  readonly #makeLink: typeof symlink;

  constructor(cacheFolder: string, repository: string, makeLink: typeof symlink = symlink) {
    this.repository = repository;
    this.folder = join(cacheFolder, PREFIX + repository.replaceAll('/', '--'));
    this.#makeLink = makeLink;
  }

  blobPath(etag: string): string {
    return join(this.folder, 'blobs', etag);
  }

  snapshotPath(commit: string, path = ''): string {
    return join(this.folder, 'snapshots', commit, ...path.split('/'));
  }

  /** The commit that a branch or tag was at when it was last fetched; a commit is its own. */
  async readRevision(revision: string): Promise<string | undefined> {
    const text = await readFile(join(this.folder, 'refs', ...revision.split('/')), 'utf8').catch(() => undefined);
    if (text !== undefined) return text.trim();
    const isCommit = await stat(this.snapshotPath(revision)).then(
      (entry) => entry.isDirectory(),
      () => false,
    );
    return isCommit ? revision : undefined;
  }

  async writeRevision(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const path = join(this.folder, 'refs', ...revision.split('/'));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, commit);
  }

  /** Revisions by the commit that they were at. */
  async revisions(): Promise<Map<string, string[]>> {
    const folder = join(this.folder, 'refs');
    const byCommit = new Map<string, string[]>();
    for (const entry of await entriesBelow(folder)) {
      const path = join(entry.parentPath, entry.name);
      const commit = (await readFile(path, 'utf8')).trim();
      const revision = relative(folder, path).split(sep).join('/');
      byCommit.set(commit, [...(byCommit.get(commit) ?? []), revision].sort());
    }
    return byCommit;
  }

  async removeRevision(revision: string): Promise<void> {
    await rm(join(this.folder, 'refs', ...revision.split('/')), { force: true });
  }

  async commits(): Promise<string[]> {
    const entries = await readdir(join(this.folder, 'snapshots'), { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  }

  /** A snapshot's files whose content is there, by path. */
  async files(commit: string): Promise<CachedFile[]> {
    const folder = this.snapshotPath(commit);
    const files: CachedFile[] = [];
    for (const entry of await entriesBelow(folder)) {
      const location = join(entry.parentPath, entry.name);
      // A link whose blob is gone is no file.
      const target = await stat(location).catch(() => undefined);
      if (!target?.isFile()) continue;
      const etag = entry.isSymbolicLink() ? basename(await readlink(location)) : undefined;
      files.push({ path: relative(folder, location).split(sep).join('/'), sizeBytes: target.size, location, etag });
    }
    return files.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async hasBlob(etag: string, sizeBytes: number): Promise<boolean> {
    const entry = await stat(this.blobPath(etag)).catch(() => undefined);
    return entry?.isFile() === true && entry.size === sizeBytes;
  }

  /** Lets a snapshot's file be the blob: a relative link, so that the cache can be moved, else a copy. */
  async link(commit: string, path: string, etag: string): Promise<void> {
    const location = this.snapshotPath(commit, path);
    const target = relative(dirname(location), this.blobPath(etag));
    if ((await readlink(location).catch(() => undefined)) === target) return;
    if (await this.#isCopied(location, etag)) return;
    await mkdir(dirname(location), { recursive: true });
    await rm(location, { force: true });
    try {
      await this.#makeLink(target, location);
    } catch (error) {
      if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await copyFile(this.blobPath(etag), `${location}.new`);
      await rename(`${location}.new`, location);
    }
  }

  /** A commit's file never changes: an entry of its own with the blob's length is its copy. */
  async #isCopied(location: string, etag: string): Promise<boolean> {
    const entry = await lstat(location).catch(() => undefined);
    const blob = await stat(this.blobPath(etag)).catch(() => undefined);
    return entry?.isFile() === true && (blob === undefined || blob.size === entry.size);
  }
}

/** Every repository of models in the cache. */
export const cachedRepositories = async (cacheFolder: string): Promise<RepositoryCache[]> => {
  const entries = await readdir(cacheFolder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(PREFIX))
    .map(({ name }) => new RepositoryCache(cacheFolder, name.slice(PREFIX.length).replace('--', '/')))
    .sort((a, b) => (a.repository < b.repository ? -1 : 1));
};

/** Files and links of a folder and the folders below; none when there is no such folder. */
const entriesBelow = async (folder: string): Promise<Dirent[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => !entry.isDirectory());
};
