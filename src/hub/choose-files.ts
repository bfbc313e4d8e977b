/** Which files of a repository make a model: one quantization's GGUF files, or all that a safetensors model needs. */
import { EngineError } from '../runtime/errors.ts';
import type { ModelName } from './model-name.ts';
import { preferenceReason, preferredOf, quantizationOf } from './quantization.ts';

/** A file as far as choosing needs it. */
interface Candidate {
  readonly path: string;
  readonly sizeBytes: number | undefined;
}

export interface ModelFiles<File extends Candidate = Candidate> {
  readonly format: 'gguf' | 'safetensors';
  /** `Q4_K_M`; undefined for safetensors and files that do not tell. */
  readonly quantization: string | undefined;
  /** What is opened: a GGUF file, of a split one the first part, or config.json. */
  readonly entry: File;
  /** Parts in order; of safetensors the small files first. */
  readonly files: readonly File[];
}

export interface Choice<File extends Candidate = Candidate> extends ModelFiles<File> {
  /** Why these, in words. */
  readonly reason: string;
}

const PART = /-(\d{5})-of-(\d{5})(\.gguf|\.safetensors)$/i;
/** Beside models in their repositories, but no models: vision projectors, calibration data, vocabularies. */
const NO_MODEL = /(^|[-._/])(mmproj|imatrix|ggml-vocab)/i;
/** What a folder of safetensors is read with. */
const SMALL_FILES =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|model\.safetensors\.index)\.json$|^(merges\.txt|tokenizer\.model|chat_template\.jinja)$/;
/** Weights in other layouts, and adapters. */
const OTHER_WEIGHTS = /^(consolidated|adapter)[-._]/;
const MAX_SHOWN = 40;

/** All models among a repository's GGUF files. A split one with parts missing is left out. */
export const ggufModels = <File extends Candidate>(files: readonly File[]): ModelFiles<File>[] => {
  const sets = new Map<string, File[]>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || NO_MODEL.test(file.path)) continue;
    const key = file.path.replace(PART, '-of-$2$3');
    sets.set(key, [...(sets.get(key) ?? []), file]);
  }
  return [...sets.values()].flatMap((set) => {
    const parts = set.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const entry = parts[0]!;
    if (missingParts(parts).length > 0) return [];
    return [{ format: 'gguf' as const, quantization: quantizationOf(entry.path), entry, files: parts }];
  });
};

/** Names of parts that a split set lacks. */
const missingParts = (parts: readonly Candidate[]): string[] => {
  const first = parts[0]!.path;
  const [, , count] = PART.exec(first) ?? [];
  if (count === undefined) return [];
  const paths = new Set(parts.map(({ path }) => path));
  return Array.from({ length: Number(count) }, (_, index) =>
    first.replace(PART, `-${String(index + 1).padStart(5, '0')}-of-$2$3`),
  ).filter((path) => !paths.has(path));
};

/** The repository's own model in safetensors; undefined without config.json and all weights. */
export const safetensorsModel = <File extends Candidate>(files: readonly File[]): ModelFiles<File> | undefined => {
  const entry = files.find(({ path }) => path === 'config.json');
  const all = files.filter(({ path }) => /^[^/]+\.safetensors$/.test(path) && !OTHER_WEIGHTS.test(path));
  const shards = all.filter(({ path }) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(path));
  const whole = all.filter(({ path }) => path === 'model.safetensors');
  const hasIndex = files.some(({ path }) => path === 'model.safetensors.index.json');
  const weights = hasIndex && shards.length > 0 ? shards : whole.length > 0 ? whole : all;
  if (!entry || weights.length === 0) return undefined;
  const sorted = weights.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  if (missingParts(sorted).length > 0) return undefined;
  const small = files.filter(({ path }) => SMALL_FILES.test(path));
  return { format: 'safetensors', quantization: undefined, entry, files: [...small, ...sorted] };
};

/**
 * The model that a name means.
 * @throws EngineError model_not_found when the repository has no such file, or several that fit equally;
 * model_unsupported when it has no model in a format that loads
 */
export const chooseModel = <File extends Candidate>(files: readonly File[], name: ModelName): Choice<File> => {
  const models = ggufModels(files);
  if (name.file !== undefined) return chooseFile(files, models, name, name.file);
  if (name.quantization !== undefined) {
    const wanted = models.filter(({ quantization }) => quantization === name.quantization);
    if (wanted.length === 1) return { ...wanted[0]!, reason: 'as asked' };
    const problem =
      wanted.length === 0 ? `has no ${name.quantization}` : `has ${wanted.length} of ${name.quantization}`;
    throw ask(name, problem, wanted.length === 0 ? models : wanted);
  }
  if (models.length === 1) return { ...models[0]!, reason: 'the only GGUF model there' };
  if (models.length > 1) {
    const best = preferredOf(models);
    if (best.length === 1) return { ...best[0]!, reason: preferenceReason(models.length) };
    throw ask(name, `has ${models.length} GGUF models, of which none is to be preferred`, best.length ? best : models);
  }
  const whole = safetensorsModel(files);
  if (whole) return { ...whole, reason: 'safetensors: there is no GGUF file' };
  throw noModel(files, name);
};

const chooseFile = <File extends Candidate>(
  files: readonly File[],
  models: readonly ModelFiles<File>[],
  name: ModelName,
  path: string,
): Choice<File> => {
  const model = models.find((candidate) => candidate.files.some((file) => file.path === path));
  if (model) return { ...model, reason: 'as asked' };
  const isThere = files.some((file) => file.path === path);
  const why = NO_MODEL.test(path) ? 'is no model by itself' : 'is part of a set that is not whole';
  throw ask(name, isThere ? `${path} ${why}` : `has no file ${path}`, models);
};

const ask = ({ repository }: ModelName, problem: string, models: readonly ModelFiles[]): EngineError => {
  const choices = models.map(({ quantization, entry }) => {
    const isUnique = models.filter((other) => other.quantization === quantization).length === 1;
    return quantization !== undefined && isUnique ? quantization : entry.path;
  });
  const more = choices.length > MAX_SHOWN ? `, and ${choices.length - MAX_SHOWN} more` : '';
  const offer = choices.length > 0 ? `; name one of ${choices.slice(0, MAX_SHOWN).join(', ')}${more}` : '';
  return new EngineError('model_not_found', `${repository}: ${problem}${offer} (as ${repository}:NAME)`);
};

const noModel = (files: readonly Candidate[], { repository }: ModelName): EngineError => {
  const has = (pattern: RegExp): boolean => files.some(({ path }) => pattern.test(path));
  const found = has(/\.gguf$/i)
    ? 'its GGUF files are no whole text model'
    : has(/(^|\/)adapter_config\.json$/)
      ? 'it is an adapter (LoRA), not a model; pull the model that it adapts'
      : has(/\.safetensors$/)
        ? 'its safetensors have no config.json beside them, or are not all there'
        : has(/\.(bin|pt|pth|h5|msgpack|onnx)$/)
          ? 'its weights are in another format'
          : 'it has no weights';
  return new EngineError(
    'model_unsupported',
    `${repository}: ${found}; supported: GGUF files, and safetensors with config.json. Look for a repository named ${repository.split('/')[1]}-GGUF`,
  );
};
