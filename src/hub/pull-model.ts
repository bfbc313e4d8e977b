/** Fetches a model from the hub into the cache: choose, check that it can run, check for room, fetch, verify, link. */
import { mkdir, statfs } from 'node:fs/promises';
import { EngineError } from '../runtime/errors.ts';
import { type Choice, chooseModel } from './choose-files.ts';
import { CUTTING, type Cutting, downloadFile, FileChanged } from './download-file.ts';
import { HubClient, PATIENCE, type Patience } from './hub-client.ts';
import { fileUrl, type KnownFile, type Listing, listFiles, type RemoteFile, requireKnown } from './listing.ts';
import { formatModelName, type ModelName } from './model-name.ts';
import { partialBytes } from './partial-file.ts';
import { readHead } from './read-head.ts';
import { RepositoryCache } from './repository-cache.ts';
import type { HubSettings } from './settings.ts';

/** Whether a model can run, asked before gigabytes are fetched. Both throw EngineError model_unsupported or _file_invalid. */
export interface ModelCheck {
  /** By the first bytes of a GGUF file; false: too few to tell. `isWhole`: the model has no other parts. */
  gguf(
    file: { readonly what: string; readonly sizeBytes: number; readonly isWhole: boolean },
    head: Uint8Array,
  ): boolean;
  /** By the content of config.json. */
  config(what: string, config: unknown): void;
}

export interface PullProgress {
  readonly phase: 'fetch' | 'check';
  /** The file at work. */
  readonly path: string;
  /** Of all files together; what earlier attempts left is counted. */
  readonly fetchedBytes: number;
  readonly checkedBytes: number;
  readonly totalBytes: number;
}

export interface PullOptions {
  readonly settings: HubSettings;
  readonly name: ModelName;
  readonly check: ModelCheck;
  /** Told what was chosen and why, before anything is fetched. */
  readonly onChoice?: (choice: PullChoice) => void;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Patience;
  readonly cutting?: Cutting;
}

export interface PullChoice {
  /** `ORG/NAME:Q4_K_M`. */
  readonly name: string;
  readonly reason: string;
  readonly paths: readonly string[];
  readonly sizeBytes: number;
  /** Of them, what is not here yet. */
  readonly missingBytes: number;
}

export interface PulledModel extends PullChoice {
  readonly commit: string;
  readonly format: 'gguf' | 'safetensors';
  /** What loads: a GGUF file, or a folder of safetensors. */
  readonly path: string;
}

/** Left free on the disk. */
const SPARE_BYTES = 64 * 1024 * 1024;

/**
 * Resolves when all of the model's files are here and right. Stopped or failed, it goes on where it stopped next time.
 * @throws EngineError model_not_found, model_unsupported, model_file_invalid, unauthorized, forbidden, overloaded,
 * download_failed, disk_full, aborted
 */
export const pullModel = async (options: PullOptions): Promise<PulledModel> => {
  const { settings, name, patience = PATIENCE } = options;
  const client = new HubClient(settings, patience);
  for (let attempt = 1; ; attempt++) {
    try {
      const listing = await listFiles(client, name.repository, name.revision, options.signal);
      return await new Pull(client, options, listing).run();
    } catch (error) {
      if (!(error instanceof FileChanged)) throw error;
      if (attempt === 1) continue;
      throw new EngineError(
        'download_failed',
        `${error.message}, also after listing again; try again later or from another HF_ENDPOINT`,
        {},
        { cause: error },
      );
    }
  }
};

/**
 * The models that a repository offers, and which one `name` means; nothing is fetched.
 * @throws EngineError as `pullModel`
 */
export const askHub = async (
  settings: HubSettings,
  name: ModelName,
  patience: Patience = PATIENCE,
): Promise<{ readonly listing: Listing; readonly choice: Choice<RemoteFile> }> => {
  const listing = await listFiles(new HubClient(settings, patience), name.repository, name.revision);
  return { listing, choice: chooseModel(listing.files, name) };
};

class Pull {
  readonly #client: HubClient;
  readonly #options: PullOptions;
  readonly #listing: Listing;
  readonly #cache: RepositoryCache;
  readonly #counts = { fetch: 0, check: 0 };
  #totalBytes = 0;

  constructor(client: HubClient, options: PullOptions, listing: Listing) {
    this.#client = client;
    this.#options = options;
    this.#listing = listing;
    this.#cache = new RepositoryCache(options.settings.cacheFolder, options.name.repository);
  }

  async run(): Promise<PulledModel> {
    const { name, signal, onChoice } = this.#options;
    const { commit } = this.#listing;
    const chosen = chooseModel(this.#listing.files, name);
    const files: KnownFile[] = [];
    for (const file of chosen.files) files.push(await requireKnown(this.#client, this.#listing, file, signal));
    const missing = await this.#missing(files);
    const choice: PullChoice = {
      name: formatModelName({ ...name, quantization: name.file === undefined ? chosen.quantization : undefined }),
      reason: chosen.reason,
      paths: files.map(({ path }) => path),
      sizeBytes: sumOf(files),
      missingBytes: sumOf(missing),
    };
    onChoice?.(choice);
    if (missing.length > 0) {
      const entry = files.find(({ path }) => path === chosen.entry.path)!;
      await this.#requireRoom(missing);
      await this.#requireRunnable(chosen, entry);
      for (const file of missing) await this.#fetch(file);
    }
    for (const { path, etag } of files) await this.#cache.link(commit, path, etag);
    await this.#cache.writeRevision(name.revision, commit);
    const path = this.#cache.snapshotPath(commit, chosen.format === 'gguf' ? chosen.entry.path : '');
    return { ...choice, commit, format: chosen.format, path };
  }

  /** Files that neither the snapshot nor the blobs have. */
  async #missing(files: readonly KnownFile[]): Promise<KnownFile[]> {
    const here = new Map((await this.#cache.files(this.#listing.commit)).map((file) => [file.path, file]));
    const missing: KnownFile[] = [];
    for (const file of files) {
      const found = here.get(file.path);
      const isCopied = found?.etag === undefined && found?.sizeBytes === file.sizeBytes;
      if (!isCopied && !(await this.#cache.hasBlob(file.etag, file.sizeBytes))) missing.push(file);
    }
    return missing;
  }

  async #requireRunnable({ format, files }: Choice, entry: KnownFile): Promise<void> {
    const { check, signal } = this.#options;
    const what = this.#what(entry);
    const url = fileUrl(this.#client.endpoint, this.#listing, entry.path);
    if (format === 'safetensors') {
      const { body } = await this.#client.json({ url, what, signal });
      check.config(what, body);
      return;
    }
    const { sizeBytes } = entry;
    const file = { what, sizeBytes, isWhole: files.length === 1 };
    await readHead({ client: this.#client, url, what, sizeBytes, signal }, (head) => check.gguf(file, head));
  }

  /** @throws EngineError disk_full */
  async #requireRoom(missing: readonly KnownFile[]): Promise<void> {
    const { cacheFolder } = this.#options.settings;
    let earlierBytes = 0;
    for (const { etag, sizeBytes } of missing) {
      earlierBytes += await partialBytes(this.#cache.blobPath(etag), sizeBytes);
    }
    this.#totalBytes = sumOf(missing);
    this.#counts.fetch = earlierBytes;
    await mkdir(cacheFolder, { recursive: true });
    const { bavail, bsize } = await statfs(cacheFolder);
    const freeBytes = bavail * bsize;
    const neededBytes = this.#totalBytes - earlierBytes + SPARE_BYTES;
    if (neededBytes <= freeBytes) return;
    throw new EngineError(
      'disk_full',
      `${this.#options.name.repository}: needs ${neededBytes} bytes, ${cacheFolder} has ${freeBytes} free; free some (\`firstlight rm\`), choose a smaller quantization, or set HF_HOME to another disk`,
    );
  }

  async #fetch(file: KnownFile): Promise<void> {
    const { onProgress, signal, cutting = CUTTING } = this.#options;
    const blobPath = this.#cache.blobPath(file.etag);
    if (await this.#cache.hasBlob(file.etag, file.sizeBytes)) return; // The same content as an earlier file's.
    await downloadFile({
      client: this.#client,
      url: fileUrl(this.#client.endpoint, this.#listing, file.path),
      what: this.#what(file),
      file,
      blobPath,
      cutting,
      signal,
      onBytes: (phase, numBytes) => {
        this.#counts[phase] += numBytes;
        const { fetch: fetchedBytes, check: checkedBytes } = this.#counts;
        onProgress?.({ phase, path: file.path, fetchedBytes, checkedBytes, totalBytes: this.#totalBytes });
      },
    });
  }

  #what({ path }: { readonly path: string }): string {
    return `${this.#options.name.repository}/${path}`;
  }
}

const sumOf = (files: readonly KnownFile[]): number => files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
