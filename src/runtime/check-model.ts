/** Says from a model's header, or its config.json, what it is and whether it can run, before its weights are there. */
import { posix } from 'node:path';
import { QUANT_FORMATS, quantFormatOf } from '../kernels/quant/index.ts';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import { EngineError } from './errors.ts';
import { findArchitecture, findEncoder } from './models/index.ts';
import { readGgufHead } from './weights/gguf.ts';
import { ggufTokenizer } from './weights/gguf-tokenizer.ts';
import { translateConfig } from './weights/hugging-face-config.ts';
import { requireQuantization } from './weights/hugging-face-tensors.ts';
import type { ModelFile } from './weights/model-file.ts';
import { openModel } from './weights/open-model.ts';
import { isObject } from './weights/safetensors.ts';
import { readTokenizerJson } from './weights/tokenizer-json.ts';

export interface ModelFacts {
  readonly architecture: string;
  /** Tokens. */
  readonly contextLength: number;
  readonly numParameters: number;
  /** ggml's names of the tensors' types, the one with most weights first. */
  readonly weightFormats: readonly string[];
  readonly hasTokenizer: boolean;
  readonly hasChatTemplate: boolean;
}

/**
 * What a model's files say of it; no weight is read.
 * @throws EngineError model_not_found, model_unsupported, model_file_invalid
 */
export const describeModel = async (path: string): Promise<ModelFacts> => {
  const file = await openModel(path);
  try {
    return factsOf(file, ggufTokenizer(file) ?? (await readTokenizerJson(file.path)));
  } finally {
    await file.close();
  }
};

const factsOf = (file: ModelFile, tokenizer: TokenizerDefinition | undefined): ModelFacts => {
  const name = file.string('general.architecture');
  const architecture = findEncoder(name) ?? findArchitecture(name, file.path);
  const { contextLength } = architecture.readConfig(file);
  requireFormats(file);
  const weightsByType = new Map<string, number>();
  for (const { type, rows, columns } of file.tensors.values()) {
    weightsByType.set(type, (weightsByType.get(type) ?? 0) + rows * columns);
  }
  const sorted = [...weightsByType].sort(([, a], [, b]) => b - a);
  return {
    architecture: architecture.name,
    contextLength,
    numParameters: sorted.reduce((sum, [, count]) => sum + count, 0),
    weightFormats: sorted.map(([type]) => type),
    hasTokenizer: tokenizer !== undefined,
    hasChatTemplate: tokenizer?.chatTemplate !== undefined,
  };
};

const requireArchitecture = (name: string, path: string): void => {
  if (!findEncoder(name)) findArchitecture(name, path);
};

const requireFormats = (file: ModelFile): void => {
  const unknown = [...file.tensors.values()].find(({ type }) => quantFormatOf(type) === undefined);
  if (!unknown) return;
  const supported = [...new Set(QUANT_FORMATS.map(({ ggmlType }) => ggmlType))].join(', ');
  throw new EngineError(
    'model_unsupported',
    `${file.path}: tensor ${unknown.name} is ${unknown.type}; supported weight formats: ${supported}`,
  );
};

/** The questions that are asked of a remote model before it is fetched. */
export const modelCheck = {
  /**
   * False when more than `head`, the file's first bytes, is needed. `isWhole`: the model has no other parts.
   * @throws EngineError model_unsupported, model_file_invalid
   */
  gguf(
    { what, sizeBytes, isWhole }: { readonly what: string; readonly sizeBytes: number; readonly isWhole: boolean },
    head: Uint8Array,
  ): boolean {
    const file = readGgufHead(what, head, sizeBytes);
    if (!file) return false;
    if (isWhole) factsOf(file, ggufTokenizer(file));
    else {
      // Of several parts the first has all metadata, but not all tensors.
      requireArchitecture(file.string('general.architecture'), what);
      requireFormats(file);
    }
    return true;
  },

  /** @throws EngineError model_unsupported, model_file_invalid */
  config(what: string, config: unknown): void {
    if (!isObject(config)) throw new EngineError('model_file_invalid', `${what}: is no JSON object`);
    requireArchitecture(translateConfig(what, config).architecture, what);
    requireQuantization(posix.dirname(what), config);
  },
};
