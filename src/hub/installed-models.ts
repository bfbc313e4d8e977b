/** The models in the hub's cache, whoever has put them there: find, list, verify and remove them. */
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '../runtime/errors.ts';
import { chooseModel, ggufModels, type ModelFiles, safetensorsModel } from './choose-files.ts';
import { matchesDigest } from './digest.ts';
import { DEFAULT_REVISION, formatModelName, type ModelName } from './model-name.ts';
import { type CachedFile, cachedRepositories, RepositoryCache } from './repository-cache.ts';

export interface InstalledModel {
  /** The name that finds it: `ORG/NAME:Q4_K_M`. */
  readonly name: string;
  readonly repository: string;
  readonly commit: string;
  /** Branches and tags that were at this commit. */
  readonly revisions: readonly string[];
  readonly format: 'gguf' | 'safetensors';
  readonly quantization: string | undefined;
  readonly files: readonly CachedFile[];
  readonly sizeBytes: number;
  /** What loads: a GGUF file, or a folder of safetensors. */
  readonly path: string;
}

/** All models whose files are all there, by name. */
export const listInstalled = async (cacheFolder: string): Promise<InstalledModel[]> => {
  const models: InstalledModel[] = [];
  for (const cache of await cachedRepositories(cacheFolder)) models.push(...(await modelsOf(cache)));
  return models;
};

const modelsOf = async (cache: RepositoryCache): Promise<InstalledModel[]> => {
  const models: InstalledModel[] = [];
  const revisions = await cache.revisions();
  for (const commit of await cache.commits()) {
    const files = await cache.files(commit);
    const gguf = ggufModels(files);
    const whole = safetensorsModel(files);
    for (const model of whole ? [...gguf, whole] : gguf) {
      const isUnique = gguf.filter(({ quantization }) => quantization === model.quantization).length === 1;
      models.push(describe(cache, commit, revisions.get(commit) ?? [], model, isUnique));
    }
  }
  return models;
};

const describe = (
  cache: RepositoryCache,
  commit: string,
  revisions: readonly string[],
  { format, quantization, entry, files }: ModelFiles<CachedFile>,
  isUnique: boolean,
): InstalledModel => {
  const { repository } = cache;
  const hasLabel = format === 'safetensors' || (quantization !== undefined && isUnique);
  const revision = revisions.includes(DEFAULT_REVISION) ? DEFAULT_REVISION : (revisions[0] ?? commit);
  const file = hasLabel ? undefined : entry.path;
  return {
    name: formatModelName({ repository, revision, file, quantization: hasLabel ? quantization : undefined }),
    repository,
    commit,
    revisions,
    format,
    quantization,
    files,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    path: cache.snapshotPath(commit, format === 'gguf' ? entry.path : ''),
  };
};

/**
 * What a name means among the files that are here, without asking the hub; undefined when it is not, or not all, here.
 * @throws EngineError model_not_found when several fit equally
 */
export const findInstalled = async (cacheFolder: string, name: ModelName): Promise<InstalledModel | undefined> => {
  const cache = new RepositoryCache(cacheFolder, name.repository);
  const commit = await cache.readRevision(name.revision);
  if (commit === undefined) return undefined;
  const files = await cache.files(commit);
  const candidates = ggufModels(files).length > 0 || safetensorsModel(files) !== undefined;
  if (!candidates) return undefined;
  const isWanted = ({ quantization, files: parts }: ModelFiles): boolean =>
    name.file === undefined
      ? name.quantization === undefined || quantization === name.quantization
      : parts.some(({ path }) => path === name.file);
  const hasGguf = ggufModels(files).some(isWanted);
  const isAsked = name.file !== undefined || name.quantization !== undefined;
  // Other tools fetch single files: safetensors without a tokenizer may be half of what the hub has.
  const isWhole = !isAsked && files.some(({ path }) => path === 'tokenizer.json');
  if (!hasGguf && !isWhole) return undefined;
  const revisions = (await cache.revisions()).get(commit) ?? [];
  const model = chooseModel(files, name);
  return { ...describe(cache, commit, revisions, model, true), name: nameOf(name, model) };
};

const nameOf = (name: ModelName, { quantization }: ModelFiles): string =>
  formatModelName({ ...name, quantization: name.file === undefined ? quantization : undefined });

/** The installed models that a name means: of the repository, its quantization or file, its revision if it says one. */
export const selectInstalled = async (cacheFolder: string, name: ModelName): Promise<InstalledModel[]> => {
  const cache = new RepositoryCache(cacheFolder, name.repository);
  const all = await modelsOf(cache);
  return all.filter(
    ({ quantization, files, commit, revisions }) =>
      (name.quantization === undefined || quantization === name.quantization) &&
      (name.file === undefined || files.some(({ path }) => path === name.file)) &&
      (name.revision === DEFAULT_REVISION || commit.startsWith(name.revision) || revisions.includes(name.revision)),
  );
};

/** @throws EngineError model_not_found */
export const requireInstalled = async (cacheFolder: string, name: ModelName): Promise<InstalledModel[]> => {
  const models = await selectInstalled(cacheFolder, name);
  if (models.length > 0) return models;
  throw new EngineError(
    'model_not_found',
    `${formatModelName(name)}: is not in ${cacheFolder}; \`firstlight list\` shows what is, \`firstlight pull\` fetches it`,
  );
};

export interface FileVerdict {
  readonly path: string;
  readonly sizeBytes: number;
  /** unknown: a copy, or a blob whose name is no digest. */
  readonly verdict: 'right' | 'wrong' | 'unknown';
}

/** Reads every file again and compares it with the digest that it is stored under. */
export async function* verifyInstalled(
  model: InstalledModel,
  onBytes: (numBytes: number) => void = () => {},
): AsyncGenerator<FileVerdict> {
  for (const { path, sizeBytes, location, etag } of model.files) {
    const isRight = etag === undefined ? undefined : await matchesDigest(location, etag, { onBytes });
    yield { path, sizeBytes, verdict: isRight === undefined ? 'unknown' : isRight ? 'right' : 'wrong' };
  }
}

export interface Removal {
  readonly names: readonly string[];
  readonly freedBytes: number;
}

/**
 * Removes a quantization, a file or, when the name says neither and no revision, the whole repository with what is
 * left of interrupted downloads. Blobs that another snapshot needs stay.
 * @throws EngineError model_not_found when nothing of it is here
 */
export const removeInstalled = async (cacheFolder: string, name: ModelName): Promise<Removal> => {
  const cache = new RepositoryCache(cacheFolder, name.repository);
  const isWhole = name.quantization === undefined && name.file === undefined && name.revision === DEFAULT_REVISION;
  const bytesBefore = await blobBytes(cache);
  if (isWhole && (await stat(cache.folder).catch(() => undefined))) {
    const names = (await modelsOf(cache)).map((model) => model.name);
    await rm(cache.folder, { recursive: true });
    return { names: names.length > 0 ? names : [name.repository], freedBytes: bytesBefore };
  }
  const models = await requireInstalled(cacheFolder, name);
  const removed = models.flatMap(({ files }) => files);
  for (const { location } of removed) await rm(location, { force: true });
  await removeUnneeded(cache, removed);
  await removeEmpty(cache);
  return { names: models.map((model) => model.name), freedBytes: bytesBefore - (await blobBytes(cache)) };
};

const blobBytes = async (cache: RepositoryCache): Promise<number> => {
  const folder = dirname(cache.blobPath('any'));
  let sum = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const { size, blocks } = await stat(join(folder, name));
    // Files on their way are as long as they will be, and mostly holes.
    sum += name.endsWith('.incomplete') ? Math.min(size, blocks * 512) : size;
  }
  return sum;
};

/** Of the removed files' blobs, those that no snapshot needs. */
const removeUnneeded = async (cache: RepositoryCache, removed: readonly CachedFile[]): Promise<void> => {
  const kept: CachedFile[] = [];
  for (const commit of await cache.commits()) kept.push(...(await cache.files(commit)));
  for (const { etag, sizeBytes } of removed) {
    // A copy does not tell whose it is: the same length is enough to keep a blob.
    const isNeeded = kept.some((file) => (file.etag === undefined ? file.sizeBytes === sizeBytes : file.etag === etag));
    if (etag !== undefined && !isNeeded) await rm(cache.blobPath(etag), { force: true });
  }
};

/** Snapshots without files, the refs to them, and the repository's folder when nothing is left in it. */
const removeEmpty = async (cache: RepositoryCache): Promise<void> => {
  const revisions = await cache.revisions();
  for (const commit of await cache.commits()) {
    if ((await cache.files(commit)).length > 0) continue;
    await rm(cache.snapshotPath(commit), { recursive: true });
    for (const revision of revisions.get(commit) ?? []) await cache.removeRevision(revision);
  }
  if ((await cache.commits()).length === 0) await rm(cache.folder, { recursive: true });
};
