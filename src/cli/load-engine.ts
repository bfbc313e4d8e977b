/** Starts the engine that a configuration describes, in its own thread, with a progress display. */
import { basename } from 'node:path';
import type { Engine } from '../runtime/api.ts';
import type { Config } from '../runtime/config.ts';
import { createEngine } from '../runtime/create-engine.ts';
import { loadOptions } from './options.ts';
import { loadLabel, withProgress } from './progress.ts';

/** @throws EngineError as `createEngine` */
export const loadEngine = (config: Config): Promise<Engine> => {
  const name = basename(config.model);
  return withProgress(`loading ${name}`, (setLabel) =>
    createEngine(
      {
        ...loadOptions(config),
        model: config.model,
        maxQueue: config.maxQueue,
        ...(config.modelId === undefined ? {} : { modelId: config.modelId }),
      },
      { onProgress: (progress) => setLabel(loadLabel(name, progress)) },
    ),
  );
};
