/** `firstlight list`, `show`, `verify` and `rm`: the models that are here. */
import { ggufModels, safetensorsModel } from '../hub/choose-files.ts';
import {
  type FileVerdict,
  findInstalled,
  type InstalledModel,
  listInstalled,
  removeInstalled,
  requireInstalled,
  verifyInstalled,
} from '../hub/installed-models.ts';
import { type ModelName, requireModelName } from '../hub/model-name.ts';
import { askHub } from '../hub/pull-model.ts';
import { type HubSettings, hubSettings } from '../hub/settings.ts';
import { processEnvironment } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { withProgress } from './progress.ts';
import { formatBytes, formatCount } from './sizes.ts';

const print = (rows: readonly (readonly string[])[]): void => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
};

const outline = ({ name, format, quantization, sizeBytes, commit, revisions, path, files }: InstalledModel) => ({
  name,
  format,
  quantization,
  sizeBytes,
  commit,
  revisions,
  path,
  files: files.map((file) => file.path),
});

/** Prints every model in the cache, by whatever tool it came. */
export const runList = async (isJson: boolean): Promise<void> => {
  const { cacheFolder } = hubSettings(processEnvironment());
  const models = await listInstalled(cacheFolder);
  if (isJson) console.log(JSON.stringify(models.map(outline), null, 2));
  else if (models.length === 0) console.error(`no models in ${cacheFolder}; \`firstlight pull ORG/NAME\` fetches one`);
  else {
    const rows = models.map(({ name, format, sizeBytes, commit }) => [
      name,
      format,
      formatBytes(sizeBytes),
      commit.slice(0, 10),
    ]);
    print([['MODEL', 'FORMAT', 'SIZE', 'COMMIT'], ...rows]);
  }
};

/**
 * Prints what a model is; of one that is not here, what the hub offers.
 * @throws EngineError as `askHub`; config_invalid
 */
export const runShow = async (text: string, isJson: boolean): Promise<void> => {
  const settings = hubSettings(processEnvironment());
  const name = requireModelName(text);
  const model = await findInstalled(settings.cacheFolder, name);
  if (model) await showInstalled(model, isJson);
  else await showOffer(settings, name, isJson);
};

const showInstalled = async (model: InstalledModel, isJson: boolean): Promise<void> => {
  const { describeModel } = await import('../runtime/check-model.ts');
  const facts = await describeModel(model.path).catch((error: unknown) => {
    if (error instanceof EngineError) return error;
    throw error;
  });
  const canRun = !(facts instanceof EngineError);
  if (isJson) {
    const more = canRun ? { canRun, ...facts } : { canRun, reason: facts.message };
    console.log(JSON.stringify({ ...outline(model), ...more }, null, 2));
    return;
  }
  const { name, format, sizeBytes, files, commit, revisions, path } = model;
  const rows = [
    ['model', name],
    ['format', format],
    ['size', `${formatBytes(sizeBytes)} in ${files.length} file${files.length === 1 ? '' : 's'}`],
    ['commit', `${commit}${revisions.length > 0 ? ` (${revisions.join(', ')})` : ''}`],
    ['path', path],
  ];
  if (canRun) {
    const { architecture, contextLength, numParameters, weightFormats, hasTokenizer, hasChatTemplate } = facts;
    rows.push(
      ['architecture', architecture],
      ['parameters', formatCount(numParameters)],
      ['weights', weightFormats.join(', ')],
      ['context', `${contextLength} tokens`],
      ['tokenizer', hasTokenizer ? 'yes' : 'no'],
      ['chat template', hasChatTemplate ? 'yes' : 'no'],
    );
  } else rows.push(['cannot run', facts.message]);
  print(rows);
};

const showOffer = async (settings: HubSettings, name: ModelName, isJson: boolean): Promise<void> => {
  const { listing, choice } = await withProgress(`asking ${settings.endpoint}`, () => askHub(settings, name));
  const whole = safetensorsModel(listing.files);
  const offers = [...ggufModels(listing.files), ...(whole ? [whole] : [])].map((model) => ({
    quantization: model.quantization,
    format: model.format,
    sizeBytes: model.files.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0),
    entry: model.entry.path,
    isChosen: model.entry.path === choice.entry.path,
  }));
  if (isJson) {
    const { repository, commit } = listing;
    console.log(JSON.stringify({ repository, commit, isHere: false, reason: choice.reason, offers }, null, 2));
    return;
  }
  console.error(`${name.repository} is not here; ${settings.endpoint} has:`);
  const rows = offers.map(({ quantization, format, sizeBytes, entry, isChosen }) => [
    isChosen ? '*' : '',
    quantization ?? format,
    formatBytes(sizeBytes),
    entry,
  ]);
  print([['', 'MODEL', 'SIZE', 'FILE'], ...rows]);
  console.error(`* is what \`firstlight pull\` would fetch: ${choice.reason}`);
};

/**
 * Compares every file with its digest. True: none is wrong.
 * @throws EngineError model_not_found, config_invalid
 */
export const runVerify = async (texts: readonly string[], isJson: boolean): Promise<boolean> => {
  const { cacheFolder } = hubSettings(processEnvironment());
  const models: InstalledModel[] = texts.length === 0 ? await listInstalled(cacheFolder) : [];
  for (const text of texts) models.push(...(await requireInstalled(cacheFolder, requireModelName(text))));
  const verdicts: (FileVerdict & { readonly model: string })[] = [];
  for (const model of models) verdicts.push(...(await verify(model, isJson)));
  const isRight = verdicts.every(({ verdict }) => verdict !== 'wrong');
  if (isJson) console.log(JSON.stringify(verdicts, null, 2));
  else if (!isRight) console.error('wrong files: remove the model (`firstlight rm`) and pull it again');
  return isRight;
};

const verify = (model: InstalledModel, isJson: boolean): Promise<(FileVerdict & { readonly model: string })[]> =>
  withProgress(`checking ${model.name}`, async (setLabel) => {
    const verdicts: (FileVerdict & { readonly model: string })[] = [];
    let checkedBytes = 0;
    const onBytes = (numBytes: number): void => {
      checkedBytes += numBytes;
      setLabel(`checking ${model.name} ${Math.floor((100 * checkedBytes) / model.sizeBytes)}%`);
    };
    for await (const verdict of verifyInstalled(model, onBytes)) {
      verdicts.push({ model: model.name, ...verdict });
      if (!isJson) console.log(`${verdict.verdict.padEnd(7)}  ${model.repository}/${verdict.path}`);
    }
    return verdicts;
  });

/** Removes models. @throws EngineError model_not_found, config_invalid */
export const runRemove = async (texts: readonly string[]): Promise<void> => {
  const { cacheFolder } = hubSettings(processEnvironment());
  for (const name of texts.map(requireModelName)) {
    const { names, freedBytes } = await removeInstalled(cacheFolder, name);
    console.log(`removed ${names.join(', ')}: ${formatBytes(freedBytes)} freed`);
  }
};
