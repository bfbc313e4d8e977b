/** Starts the engine that a configuration describes, in its own thread, with a progress display. */
import { basename, resolve } from 'node:path';
import type { Engine } from '../runtime/api.ts';
import { type Config, defaultKvDirectory } from '../runtime/config.ts';
import { type EngineThreadHooks, startEngineThread } from '../runtime/start-engine-thread.ts';
import { loadOptions } from './options.ts';
import { loadLabel, withProgress } from './progress.ts';
import { type LocalModel, localModel } from './pull.ts';

/**
 * `hooks.onExit` hears of the thread's unexpected end: everything asked of the engine has failed then, and will.
 * A model of the hub is fetched first when it is not here, unless the caller did: `found`.
 * @throws EngineError as `startEngineThread` and `localModel`
 */
export const loadEngine = async (
  config: Config,
  hooks: Pick<EngineThreadHooks, 'onExit' | 'onWarning'> = {},
  found?: LocalModel,
): Promise<Engine> => {
  const { path, ...local } = found ?? (await localModel(config.model));
  const name = local.modelId ?? basename(path);
  return withProgress(`loading ${name}`, (setLabel) =>
    startEngineThread(
      {
        ...loadOptions(config),
        ...local,
        model: path,
        maxQueue: config.maxQueue,
        toolFormat: config.toolFormat,
        kvTiers: {
          ramBytes: config.kvRam,
          diskBytes: config.kvDisk,
          directory: resolve(config.kvDirectory ?? defaultKvDirectory()),
          fsync: config.kvFsync,
          ...(config.kvKeyFile === undefined ? {} : { keyPath: resolve(config.kvKeyFile) }),
        },
        ...(config.modelId === undefined ? {} : { modelId: config.modelId }),
      },
      {
        ...hooks,
        onProgress: (progress) => setLabel(loadLabel(name, progress)),
      },
    ),
  );
};
