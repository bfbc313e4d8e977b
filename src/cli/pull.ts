/** `firstlight pull`, and what `--model` does with a model of the hub. */
import { stat } from 'node:fs/promises';
import { findInstalled } from '../hub/installed-models.ts';
import { type ModelName, parseModelName, requireModelName } from '../hub/model-name.ts';
import { type PullChoice, type PulledModel, pullModel } from '../hub/pull-model.ts';
import { type HubSettings, hubSettings } from '../hub/settings.ts';
import { processEnvironment } from '../runtime/config.ts';
import { DownloadLabel } from './download-label.ts';
import { withProgress } from './progress.ts';
import { formatBytes } from './sizes.ts';

export interface LocalModel {
  /** A file or folder, or a name that is none of the hub's. */
  readonly path: string;
  /** The hub's name, for clients; absent for paths. */
  readonly modelId?: string;
}

/** Fetches a model and prints where it lies. @throws EngineError as `pullModel`; config_invalid */
export const runPull = async (text: string, isJson: boolean): Promise<void> => {
  const pulled = await fetchModel(requireModelName(text), hubSettings(processEnvironment()));
  console.log(isJson ? JSON.stringify(pulled, null, 2) : pulled.path);
};

/**
 * What `--model` means: a path that exists; else, if it may be one, a model of the hub, fetched when it is not here.
 * @throws EngineError as `pullModel`; config_invalid
 */
export const localModel = async (model: string): Promise<LocalModel> => {
  const name = parseModelName(model);
  if (!name || (await stat(model).catch(() => undefined))) return { path: model };
  const settings = hubSettings(processEnvironment());
  const here = await findInstalled(settings.cacheFolder, name);
  const { path, name: modelId } = here ?? (await fetchModel(name, settings));
  return { path, modelId };
};

/** Ctrl-C keeps what came so far. */
const fetchModel = async (name: ModelName, settings: HubSettings): Promise<PulledModel> => {
  // The kernels' formats come with it: imported when there is something to check.
  const { modelCheck } = await import('../runtime/check-model.ts');
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  try {
    const label = new DownloadLabel();
    return await withProgress(`asking ${settings.endpoint} for ${name.repository}`, (setLabel) =>
      pullModel({
        settings,
        name,
        check: modelCheck,
        signal: stop.signal,
        onChoice: announce,
        onProgress: (progress) => setLabel(label.next(progress, performance.now())),
      }),
    );
  } finally {
    process.off('SIGINT', onSignal);
  }
};

const announce = ({ name, reason, paths, sizeBytes, missingBytes }: PullChoice): void => {
  const files = paths.length === 1 ? paths[0] : `${paths.length} files`;
  const size = formatBytes(sizeBytes);
  const state =
    missingBytes === 0 ? 'here already' : missingBytes < sizeBytes ? `${formatBytes(missingBytes)} missing` : '';
  console.error(`${name}: ${files}, ${size}${state ? `, ${state}` : ''} (${reason})`);
};
