/** From a model file to something that computes logits: opens the device, streams the weights, sizes the KV pool. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { GpuDevice } from '../kernels/device.ts';
import type { KvFormat } from '../kernels/kv-format.ts';
import { q4_0 } from '../kernels/quant/q4-0.ts';
import { q4_k } from '../kernels/quant/q4-k.ts';
import { q8_0 } from '../kernels/quant/q8-0.ts';
import { SAMPLER_VERSION } from '../workers/sampler.ts';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import type { ModelDescription } from './api.ts';
import { withChatTemplate } from './chat-template-file.ts';
import type { LoadOptions, LoadProgress, Precision } from './create-engine-options.ts';
import { EngineError } from './errors.ts';
import { fingerprint } from './fingerprint.ts';
import { GpuRunner } from './gpu-runner.ts';
import { planKv } from './kv-memory.ts';
import type { ModelConfig } from './models/architecture.ts';
import { findArchitecture } from './models/index.ts';
import { type Pooling, readDecoderPooling } from './models/pooling.ts';
import { ggufTokenizer } from './weights/gguf-tokenizer.ts';
import { ModelWeights } from './weights/load.ts';
import type { ModelFile } from './weights/model-file.ts';
import { openModel } from './weights/open-model.ts';
import { readTokenizerJson } from './weights/tokenizer-json.ts';

export interface LoadedModel {
  readonly runner: GpuRunner;
  readonly description: ModelDescription;
  /** Absent when the file has none; such a model takes token ids only. */
  readonly tokenizer: TokenizerDefinition | undefined;
  readonly adapter: string;
  readonly activations: 'f32' | 'f16';
  readonly kvFormat: KvFormat;
}

/** What weights can be converted to while loading, as options name it. */
export const QUANTIZE_TO = { q8_0, q4_0, q4_k } as const satisfies Record<NonNullable<LoadOptions['quantize']>, object>;

const BLOCK_SIZE = 16;
const DEFAULT_BATCH_TOKENS = 512;
const DEFAULT_SEQUENCES = 64;

/**
 * Loads a GGUF file, the only one in a folder, or a folder of safetensors.
 * @throws EngineError model_not_found, model_file_invalid, model_unsupported, adapter_not_found, out_of_memory,
 * config_invalid
 */
export const loadModel = async (
  path: string,
  options: LoadOptions = {},
  onProgress?: (progress: LoadProgress) => void,
): Promise<LoadedModel> => {
  const file = await openModel(path);
  try {
    const architecture = findArchitecture(file.string('general.architecture'), file.path);
    const config = architecture.readConfig(file);
    const ownTokenizer = options.takesIdsOnly
      ? undefined
      : (ggufTokenizer(file) ?? (await readTokenizerJson(file.path)));
    const tokenizer =
      ownTokenizer && options.chatTemplatePath !== undefined
        ? await withChatTemplate(ownTokenizer, options.chatTemplatePath)
        : ownTokenizer;
    const device = await GpuDevice.open({
      ...(options.adapter === undefined ? {} : { adapter: options.adapter }),
      checks: options.checks ?? 'none',
    });
    try {
      const activations = choosePrecision(options.activations, device, '--activations');
      const kvFormat = chooseKvFormat(options.kvFormat, device);
      const maxSequences = options.maxSequences ?? DEFAULT_SEQUENCES;
      const maxBatchTokens = options.maxBatchTokens ?? DEFAULT_BATCH_TOKENS;
      const kvPlan = planKv(device, config, {
        blockSize: BLOCK_SIZE,
        kvFormat,
        ...contextOption(file.path, config, options.contextLength),
        ...(options.kvMemoryBytes === undefined ? {} : { kvMemoryBytes: options.kvMemoryBytes }),
        maxBatchTokens,
        maxSequences,
      });
      const weights = new ModelWeights(device, file, {
        ...(onProgress ? { onProgress } : {}),
        ...(options.quantize === undefined ? {} : { quantizeTo: QUANTIZE_TO[options.quantize] }),
      });
      const runner = await GpuRunner.create(device, architecture, config, weights, {
        kvPlan,
        maxBatchTokens,
        maxSequences,
        maxRows: options.maxRows ?? maxSequences,
        activations,
        kvFormat,
      });
      weights.requireAllRead(architecture.unusedTensors);
      await weights.close();
      const description = {
        ...describe(file, config, tokenizer, kvPlan.contextLength),
        ...(options.modelId === undefined ? {} : { id: options.modelId }),
        fingerprint: await fingerprint({
          file,
          config,
          tokenizer,
          contextLength: kvPlan.contextLength,
          arithmetic: `sampler ${SAMPLER_VERSION}, ${activations}, ${kvFormat}${options.quantize ? `, ${options.quantize}` : ''}`,
        }),
        createdAt: Math.floor((await stat(file.path)).mtimeMs / 1000),
      };
      return { runner, description, tokenizer, adapter: device.name, activations, kvFormat };
    } catch (error) {
      device.close();
      throw error;
    }
  } finally {
    await file.close();
  }
};

const chooseKvFormat = (wanted: 'auto' | KvFormat = 'auto', device: GpuDevice): KvFormat =>
  wanted === 'q8' || wanted === 'q4' ? wanted : choosePrecision(wanted, device, '--kv-format');

export const choosePrecision = (wanted: Precision = 'auto', device: GpuDevice, flag: string): 'f32' | 'f16' => {
  if (wanted === 'auto') return device.hasF16 && !device.isSoftware ? 'f16' : 'f32';
  if (wanted === 'f16' && !device.hasF16) {
    throw new EngineError('config_invalid', `${flag} f16: the adapter ${device.name} has no shader-f16; use f32`);
  }
  return wanted;
};

/** @throws EngineError config_invalid for more than the model was trained for */
export const contextOption = (
  path: string,
  config: Pick<ModelConfig, 'contextLength'>,
  wanted: number | undefined,
): { contextLength?: number } => {
  if (wanted === undefined) return {};
  if (wanted <= config.contextLength) return { contextLength: wanted };
  throw new EngineError(
    'config_invalid',
    `--context ${wanted}: ${path} was trained for ${config.contextLength} tokens; use that or less`,
  );
};

const describe = (
  file: ModelFile,
  config: ModelConfig,
  tokenizer: TokenizerDefinition | undefined,
  contextLength: number,
): Omit<ModelDescription, 'fingerprint' | 'createdAt'> => ({
  ...embeddingOf(readDecoderPooling(file), config),
  id: basename(file.path).replace(/\.gguf$/, ''),
  architecture: file.string('general.architecture'),
  contextLength,
  vocabularySize: config.vocabularySize,
  hasChatTemplate: tokenizer?.chatTemplate !== undefined,
  generates: true,
});

const embeddingOf = (
  pooling: Pooling | undefined,
  { hiddenSize: size }: ModelConfig,
): Pick<ModelDescription, 'embedding'> => (pooling === undefined ? {} : { embedding: { size, pooling } });
