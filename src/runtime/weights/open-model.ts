/** Opens whatever a path holds: a GGUF file, or a folder with one or with safetensors. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../errors.ts';
import { openGguf } from './gguf.ts';
import { openHuggingFace } from './hugging-face.ts';
import type { ModelFile } from './model-file.ts';

/** Parts of a split GGUF file after the first: the first stands for all. */
const LATER_PART = /-(?!00001)\d{5}-of-\d{5}\.gguf$/;

/** @throws EngineError model_not_found, model_file_invalid, model_unsupported */
export const openModel = async (path: string): Promise<ModelFile> => {
  const entry = await stat(path).catch(() => undefined);
  if (!entry) throw new EngineError('model_not_found', `${path}: no such file or folder`);
  if (!entry.isDirectory()) return openGguf(path);
  const names = (await readdir(path)).sort();
  const models = names.filter((name) => name.endsWith('.gguf') && !LATER_PART.test(name));
  if (models.length === 1) return openGguf(join(path, models[0]!));
  if (models.length > 1) {
    throw new EngineError(
      'model_not_found',
      `${path}: holds ${models.length} GGUF files; name one: ${models.join(', ')}`,
    );
  }
  if (names.some((name) => name.endsWith('.safetensors'))) return openHuggingFace(path);
  throw new EngineError('model_not_found', `${path}: neither a GGUF file nor safetensors in this folder`);
};
