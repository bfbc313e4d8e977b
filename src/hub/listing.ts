/** What a repository holds at a revision: its commit, and path, size and digest of every file. */
import { EngineError } from '../runtime/errors.ts';
import { isDigest, plainEtag } from './digest.ts';
import type { HubClient } from './hub-client.ts';
import { isSafePath } from './safe-path.ts';

export interface RemoteFile {
  /** In the repository, with forward slashes. */
  readonly path: string;
  /** Undefined where the hub does not list it. */
  readonly sizeBytes: number | undefined;
  /** SHA-256 of large files, git's blob hash of others; undefined where the hub does not list it. */
  readonly etag: string | undefined;
}

export interface Listing {
  readonly repository: string;
  readonly commit: string;
  readonly files: readonly RemoteFile[];
}

/** A file of which everything is known. */
export interface KnownFile extends RemoteFile {
  readonly sizeBytes: number;
  readonly etag: string;
}

const COMMIT = /^[0-9a-zA-Z]{7,64}$/;
const MAX_PAGES = 1000;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** The URL of a file's bytes. */
export const fileUrl = (endpoint: string, { repository, commit }: Omit<Listing, 'files'>, path: string): string =>
  `${endpoint}/${repository}/resolve/${encodeURIComponent(commit)}/${encodePath(path)}`;

/**
 * Source: the hub's API, `/api/models/{repo}/revision/{revision}?blobs=true`, and `/tree/{revision}` where that lists no
 * sizes.
 * @throws EngineError as `HubClient.request`
 */
export const listFiles = async (
  client: HubClient,
  repository: string,
  revision: string,
  signal?: AbortSignal,
): Promise<Listing> => {
  const base = `${client.endpoint}/api/models/${repository}`;
  const what = `${repository}${revision === 'main' ? '' : `@${revision}`}`;
  const url = `${base}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const { body } = await client.json({ url, what, signal });
  const { sha: commit, siblings } = isRecord(body) ? body : {};
  if (typeof commit !== 'string' || !COMMIT.test(commit) || !Array.isArray(siblings)) {
    throw new EngineError(
      'download_failed',
      `${what}: ${url} names no commit and files; is HF_ENDPOINT (${client.endpoint}) a hub?`,
    );
  }
  const files = siblings.map((entry) => toFile(entry, 'rfilename', 'blobId', 'sha256'));
  const isComplete = files.every((file) => file === undefined || file.etag !== undefined);
  const listed = isComplete
    ? files
    : await listTree(client, `${base}/tree/${commit}?recursive=true`, what, files, signal);
  // A name that could leave our folder is no file of a model.
  return {
    repository,
    commit,
    files: listed.filter((file) => file !== undefined && isSafePath(file.path)) as RemoteFile[],
  };
};

/** The same files with sizes and digests, as far as the hub has a tree to list. */
const listTree = async (
  client: HubClient,
  url: string,
  what: string,
  files: readonly (RemoteFile | undefined)[],
  signal: AbortSignal | undefined,
): Promise<readonly (RemoteFile | undefined)[]> => {
  const known = new Map<string, RemoteFile>();
  let next: string | undefined = url;
  for (let page = 0; next !== undefined && page < MAX_PAGES; page++) {
    const answer: { body: unknown; next: string | undefined } | undefined = await client
      .json({ url: next, what, signal })
      .catch((error: unknown) => {
        // Simple mirrors list no trees; each file's own headers then tell.
        if (error instanceof EngineError && error.code === 'model_not_found') return undefined;
        throw error;
      });
    for (const entry of Array.isArray(answer?.body) ? answer.body : []) {
      const file = isRecord(entry) && entry.type === 'file' ? toFile(entry, 'path', 'oid', 'oid') : undefined;
      if (file) known.set(file.path, file);
    }
    next = answer?.next;
  }
  return files.map((file) => (file && known.get(file.path)) ?? file);
};

/** `smallKey`: git's hash of small files; `largeKey`: SHA-256 in the record of large ones. */
const toFile = (entry: unknown, pathKey: string, smallKey: string, largeKey: string): RemoteFile | undefined => {
  if (!isRecord(entry)) return undefined;
  const path = entry[pathKey];
  if (typeof path !== 'string') return undefined;
  const etag = isRecord(entry.lfs) ? entry.lfs[largeKey] : entry[smallKey];
  const size = isRecord(entry.lfs) && typeof entry.lfs.size === 'number' ? entry.lfs.size : entry.size;
  const isKnown = typeof etag === 'string' && isDigest(etag) && Number.isSafeInteger(size) && (size as number) >= 0;
  return { path, sizeBytes: isKnown ? (size as number) : undefined, etag: isKnown ? etag : undefined };
};

/**
 * Fills in what the listing lacks from the file's own headers.
 * @throws EngineError download_failed when the hub tells neither length nor ETag
 */
export const requireKnown = async (
  client: HubClient,
  listing: Listing,
  file: RemoteFile,
  signal?: AbortSignal,
): Promise<KnownFile> => {
  const { path, sizeBytes, etag } = file;
  if (sizeBytes !== undefined && etag !== undefined) return { path, sizeBytes, etag };
  const what = `${listing.repository}/${path}`;
  const url = fileUrl(client.endpoint, listing, path);
  const { response, linkedEtag, linkedSizeBytes } = await client.request({ url, what, method: 'HEAD', signal });
  const foundEtag = linkedEtag ?? plainEtag(response.headers.get('etag'));
  const length = response.headers.get('content-length');
  const foundSize = linkedSizeBytes ?? (length === null ? undefined : Number(length));
  if (foundEtag !== undefined && /^[\w-][\w.-]{0,127}$/.test(foundEtag) && Number.isSafeInteger(foundSize)) {
    return { path, sizeBytes: foundSize as number, etag: foundEtag };
  }
  throw new EngineError(
    'download_failed',
    `${what}: ${url} gives length ${length ?? 'none'} and ETag ${JSON.stringify(foundEtag ?? null)}; both are needed to check the file`,
  );
};
