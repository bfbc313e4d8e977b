/** Starts the engine that a configuration describes, in its own thread, with a progress display. */
import { basename } from 'node:path';
import type { Engine } from '../runtime/api.ts';
import type { Config } from '../runtime/config.ts';
import { startEngineThread } from '../runtime/start-engine-thread.ts';
import { loadOptions } from './options.ts';
import { loadLabel, withProgress } from './progress.ts';

/** @throws EngineError as `startEngineThread` */
export const loadEngine = (config: Config): Promise<Engine> => {
  const name = basename(config.model);
  return withProgress(`loading ${name}`, (setLabel) =>
    startEngineThread(
      {
        ...loadOptions(config),
        model: config.model,
        maxQueue: config.maxQueue,
        ...(config.modelId === undefined ? {} : { modelId: config.modelId }),
      },
      { onProgress: (progress) => setLabel(loadLabel(name, progress)), ...(onExit === undefined ? {} : { onExit }) },
    ),
  );
};
