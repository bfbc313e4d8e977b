/** The files of a model that is named by its path. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ggufModels, safetensorsModel } from '../hub/choose-files.ts';

/** A model's files, whether the hub's cache has them or another folder. */
export interface LocalFiles {
  readonly name: string;
  readonly format: 'gguf' | 'safetensors';
  /** What loads: a GGUF file, or a folder. */
  readonly path: string;
  readonly files: readonly { readonly location: string }[];
  readonly sizeBytes: number;
}

/** Undefined for what is no path of a model. */
export const localFiles = async (path: string): Promise<LocalFiles | undefined> => {
  const entry = await stat(path).catch(() => undefined);
  if (!entry) return undefined;
  const folder = entry.isDirectory() ? path : dirname(path);
  const files = await filesIn(folder);
  const models = ggufModels(files);
  const model = entry.isDirectory()
    ? (models[0] ?? safetensorsModel(files))
    : models.find((each) => each.files.some((file) => file.path === basename(path)));
  // A GGUF file may have any name.
  const parts = model?.files ?? [{ path: basename(path), location: path, sizeBytes: entry.size }];
  return {
    name: basename(path),
    format: model?.format ?? 'gguf',
    path,
    files: parts,
    sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
};

const filesIn = async (folder: string) => {
  const files: { path: string; location: string; sizeBytes: number }[] = [];
  for (const path of await readdir(folder)) {
    const location = join(folder, path);
    const entry = await stat(location).catch(() => undefined);
    if (entry?.isFile()) files.push({ path, location, sizeBytes: entry.size });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
};
