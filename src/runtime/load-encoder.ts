/** From an encoder's files to something that computes embeddings. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { GpuDevice } from '../kernels/device.ts';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import type { EmbeddingDescription, ModelDescription } from './api.ts';
import type { LoadOptions, LoadProgress } from './create-engine-options.ts';
import { EncoderRunner } from './encoder-runner.ts';
import { EngineError } from './errors.ts';
import { fingerprint } from './fingerprint.ts';
import { choosePrecision, contextOption, QUANTIZE_TO } from './load-model.ts';
import { findEncoder } from './models/index.ts';
import { ggufTokenizer } from './weights/gguf-tokenizer.ts';
import { ModelWeights } from './weights/load.ts';
import { openModel } from './weights/open-model.ts';
import { readTokenizerJson } from './weights/tokenizer-json.ts';

export interface LoadedEncoder {
  readonly runner: EncoderRunner;
  readonly description: ModelDescription & { readonly embedding: EmbeddingDescription };
  readonly tokenizer: TokenizerDefinition | undefined;
  readonly adapter: string;
}

/** Tokens a step where nothing else is said: enough to keep a GPU busy, and a software adapter responsive. */
const DEFAULT_BATCH_TOKENS = 2048;
const SOFTWARE_BATCH_TOKENS = 512;
const DEFAULT_SEQUENCES = 256;

/** True when the path holds a model that makes embeddings alone. @throws EngineError as `openModel` */
export const holdsEncoder = async (path: string): Promise<boolean> => {
  const file = await openModel(path);
  await file.close();
  return findEncoder(file.string('general.architecture')) !== undefined;
};

/**
 * Loads an encoder.
 * @throws EngineError model_not_found, model_file_invalid, model_unsupported, adapter_not_found, out_of_memory,
 * config_invalid
 */
export const loadEncoder = async (
  path: string,
  options: LoadOptions = {},
  onProgress?: (progress: LoadProgress) => void,
): Promise<LoadedEncoder> => {
  const file = await openModel(path);
  try {
    const name = file.string('general.architecture');
    const architecture = findEncoder(name);
    if (!architecture) throw new EngineError('model_unsupported', `${path}: "${name}" is no encoder`);
    const config = architecture.readConfig(file);
    const { contextLength = config.contextLength } = contextOption(file.path, config, options.contextLength);
    const tokenizer = options.takesIdsOnly ? undefined : (ggufTokenizer(file) ?? (await readTokenizerJson(file.path)));
    const device = await GpuDevice.open({
      ...(options.adapter === undefined ? {} : { adapter: options.adapter }),
      checks: options.checks ?? 'none',
    });
    try {
      const activations = choosePrecision(options.activations, device, '--activations');
      const weights = new ModelWeights(device, file, {
        ...(onProgress ? { onProgress } : {}),
        ...(options.quantize === undefined ? {} : { quantizeTo: QUANTIZE_TO[options.quantize] }),
      });
      const maxTokens = options.maxBatchTokens ?? (device.isSoftware ? SOFTWARE_BATCH_TOKENS : DEFAULT_BATCH_TOKENS);
      const runner = await EncoderRunner.create(device, architecture, config, weights, {
        // A text is never cut into several steps.
        maxTokens: Math.max(maxTokens, contextLength),
        maxSequences: options.maxSequences ?? DEFAULT_SEQUENCES,
        contextLength,
        activations,
      });
      weights.requireAllRead();
      await weights.close();
      const quantized = options.quantize ? `, ${options.quantize}` : '';
      const description = {
        id: options.modelId ?? basename(file.path).replace(/\.gguf$/, ''),
        architecture: name,
        contextLength,
        vocabularySize: config.vocabularySize,
        hasChatTemplate: false,
        generates: false,
        embedding: { size: config.hiddenSize, pooling: config.pooling },
        fingerprint: await fingerprint({
          file,
          config,
          tokenizer,
          contextLength,
          arithmetic: `encoder, ${activations}${quantized}`,
        }),
        createdAt: Math.floor((await stat(file.path)).mtimeMs / 1000),
      };
      return { runner, description, tokenizer, adapter: device.name };
    } catch (error) {
      device.close();
      throw error;
    }
  } finally {
    await file.close();
  }
};
