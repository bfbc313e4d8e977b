/** The server's model store: the hub's cache, and what this machine's owner may do to it over HTTP. */
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { listInstalled, removeInstalled, selectInstalled } from '../hub/installed-models.ts';
import { type ModelName, parseModelName } from '../hub/model-name.ts';
import { type PullOptions, type PullProgress, pullModel } from '../hub/pull-model.ts';
import type { HubSettings } from '../hub/settings.ts';
import { EngineError } from '../runtime/errors.ts';
import type { ModelStore, StoredModel, StoreProgress, StoreRemoval } from '../server/model-store.ts';
import { DescribedModels } from './described-models.ts';
import { DownloadSpeed } from './download-speed.ts';
import { type LocalFiles, localFiles } from './local-files.ts';

export interface HubStoreOptions extends Pick<PullOptions, 'patience' | 'cutting'> {
  readonly settings: HubSettings;
  /** What the engine has loaded. */
  readonly servedPath: string;
}

export class HubStore implements ModelStore {
  readonly #options: HubStoreOptions;
  readonly #described = new DescribedModels();
  /** Repositories: what two of one repository's models share is fetched once, and nothing of it removed meanwhile. */
  readonly #busy = new Set<string>();

  constructor(options: HubStoreOptions) {
    this.#options = options;
  }

  async list(): Promise<StoredModel[]> {
    const installed = await listInstalled(this.#cacheFolder);
    const models: StoredModel[] = [];
    for (const model of installed) models.push(await this.#describe(model));
    this.#described.keepOnly([this.#options.servedPath, ...installed.map(({ path }) => path)]);
    if (models.some(({ isServed }) => isServed)) return models;
    const served = await localFiles(this.#options.servedPath);
    return served ? [await this.#describe(served), ...models] : models;
  }

  async pull(text: string, onProgress: (progress: StoreProgress) => void, signal: AbortSignal): Promise<StoredModel> {
    const name = parseModelName(text);
    if (!name) {
      throw new EngineError(
        'invalid_request',
        `model: ${JSON.stringify(text)} names no model on the hub; allowed: ORG/NAME, ORG/NAME:Q4_K_M or ORG/NAME:FILE.gguf, each with @REVISION or without`,
        { param: 'model' },
      );
    }
    return this.#alone(name, () => this.#pull(name, onProgress, signal));
  }

  async remove(text: string): Promise<StoreRemoval> {
    const name = parseModelName(text);
    if (!name) throw new EngineError('model_not_found', `${JSON.stringify(text)} names no model in the hub's cache`);
    return this.#alone(name, () => this.#remove(name));
  }

  async #pull(
    name: ModelName,
    onProgress: (progress: StoreProgress) => void,
    signal: AbortSignal,
  ): Promise<StoredModel> {
    // The kernels' formats come with it: imported when there is something to check.
    const { modelCheck: check } = await import('../runtime/check-model.ts');
    const { servedPath: _servedPath, ...options } = this.#options;
    const { name: pulledName, path } = await pullModel({
      ...options,
      name,
      check,
      signal,
      onProgress: withSpeed(onProgress),
    });
    const pulled = (await listInstalled(this.#cacheFolder)).find((model) => model.path === path);
    if (pulled) return this.#describe(pulled);
    throw new EngineError('model_not_found', `${pulledName}: was fetched, and has been removed since; pull it again`);
  }

  async #remove(name: ModelName): Promise<StoreRemoval> {
    for (const model of await selectInstalled(this.#cacheFolder, name)) {
      if (!(await this.#isServed(model))) continue;
      throw new EngineError('conflict', `${model.name}: is what this server serves; stop the server first`);
    }
    const { names, freedBytes } = await removeInstalled(this.#cacheFolder, name);
    return { ids: names, freedBytes };
  }

  get #cacheFolder(): string {
    return this.#options.settings.cacheFolder;
  }

  /** @throws EngineError conflict; what `action` throws */
  async #alone<Result>(name: ModelName, action: () => Promise<Result>): Promise<Result> {
    // Some file systems take names that differ in capitals only for one.
    const key = name.repository.toLowerCase();
    if (this.#busy.has(key)) {
      throw new EngineError(
        'conflict',
        `${name.repository}: another request is fetching or removing it; wait for that one, or end it`,
      );
    }
    this.#busy.add(key);
    try {
      return await action();
    } finally {
      this.#busy.delete(key);
    }
  }

  async #describe(model: LocalFiles): Promise<StoredModel> {
    const { name: id, format, sizeBytes } = model;
    const [facts, isServed] = await Promise.all([this.#described.describe(model), this.#isServed(model)]);
    return { id, format, sizeBytes, isServed, ...facts };
  }

  /** By content: the cache holds links, and a path may be written in many ways. */
  async #isServed({ path, files }: LocalFiles): Promise<boolean> {
    const served = await realpath(this.#options.servedPath).catch(() => undefined);
    if (served === undefined) return false;
    const isFolder = (await stat(served)).isDirectory();
    const own = isFolder ? [path, dirname(path)] : [path, ...files.map(({ location }) => location)];
    const real = await Promise.all(own.map((each) => realpath(each).catch(() => undefined)));
    return real.includes(served);
  }
}

const withSpeed = (onProgress: (progress: StoreProgress) => void): ((progress: PullProgress) => void) => {
  const speed = new DownloadSpeed();
  return ({ path: file, ...progress }) => {
    const bytesPerSecond = speed.next(progress.fetchedBytes, performance.now());
    onProgress({ ...progress, file, bytesPerSecond });
  };
};
