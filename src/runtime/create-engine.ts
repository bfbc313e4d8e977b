/** Puts an engine together from a model's name: runner, tokenizer, worker pool, loop. */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWorkerPool } from '../workers/pool.ts';
import type { TokenizerDefinition } from '../workers/tokenizer/definition.ts';
import type { Engine, ModelDescription } from './api.ts';
import type { CreateEngineOptions, LoadHooks, LoadOptions } from './create-engine-options.ts';
import { LocalEngine } from './engine.ts';
import type { ClosableStore, EngineParts } from './engine-parts.ts';
import { EngineError } from './errors.ts';
import type { GpuRunner } from './gpu-runner.ts';
import { kvLayout } from './kv/block-key.ts';
import { openKvStorage } from './kv-storage.ts';
import type { KvGeometry, ModelRunner } from './model-runner.ts';
import { type ModelOutput, modelOutput } from './output/model-output.ts';
import { SCRIPTED_EMBEDDING_SIZE } from './scripted-embedding.ts';
import { readScript, type Script, scriptDefinition, scriptOutput } from './scripted-model.ts';
import { ScriptedRunner, type ScriptedRunnerOptions } from './scripted-runner.ts';

/** What cannot cross to another thread. */
export interface EngineHooks extends LoadHooks {
  /** Scripted models only: awaited before each token of a reply. */
  readonly beforeToken?: ScriptedRunnerOptions['beforeToken'];
  /** Model files only: shown each runner as it is made, the first and those after a loss of the device. */
  readonly onRunner?: (runner: GpuRunner) => void;
  /** Keeps KV below the pool, in place of what the options say. The engine closes it. */
  readonly store?: ClosableStore;
}

/** A model ready to compute, wherever its logits come from. */
interface Loaded {
  readonly runner: ModelRunner;
  readonly model: ModelDescription;
  readonly adapter: string;
  readonly kvFormat: string;
  readonly output: ModelOutput;
  readonly definition: TokenizerDefinition;
  readonly rebuild: () => Promise<ModelRunner>;
}

const SCRIPTED = 'scripted:';

/**
 * Loads a model and starts its engine in this thread. Close the engine to free the device and the worker threads.
 * @throws EngineError model_not_found, model_file_invalid, model_unsupported, adapter_not_found, out_of_memory
 */
export const createEngine = async (options: CreateEngineOptions, hooks: EngineHooks = {}): Promise<Engine> => {
  const isScripted = options.model.startsWith(SCRIPTED);
  if (!isScripted) {
    // Imported when needed: a scripted model runs where no GPU binding can be loaded.
    const { createEncoderEngine, holdsEncoder } = await import('./create-encoder-engine.ts');
    if (await holdsEncoder(options.model)) return createEncoderEngine(options, hooks);
  }
  const loaded = await (isScripted ? loadScripted(options, hooks) : loadFromFile(options, hooks));
  const { definition, ...parts } = loaded;
  const numThreads = options.numWorkerThreads ?? Math.max(1, Math.min(4, availableParallelism() - 1));
  const { vocabularySize } = parts.model;
  const markers = [...parts.output.tags.values()];
  // A large cache on disk is read while the threads start.
  const [workers, storage] = await Promise.allSettled([
    createWorkerPool({ definition, numThreads, vocabularySize, markers }),
    openStorage(options, hooks, parts),
  ]);
  if (workers.status === 'fulfilled' && storage.status === 'fulfilled') {
    const { embeddingEndTokenId } = definition;
    return new LocalEngine({ ...parts, ...storage.value, workers: workers.value, options, embeddingEndTokenId });
  }
  if (workers.status === 'fulfilled') await workers.value.close();
  if (storage.status === 'fulfilled') await storage.value.store?.close();
  await parts.runner.close();
  throw [workers, storage].find((result) => result.status === 'rejected')?.reason;
};

const openStorage = async (
  { kvTiers }: CreateEngineOptions,
  { store, onWarning = () => {} }: EngineHooks,
  { model, kvFormat, runner }: Omit<Loaded, 'definition'>,
): Promise<Pick<EngineParts, 'store' | 'sessions'>> => {
  if (store) return { store };
  if (!kvTiers) return {};
  const owner = { modelFingerprint: model.fingerprint, kvFormat: kvLayout(kvFormat, runner.kv) };
  return openKvStorage(kvTiers, owner, onWarning);
};

const loadFromFile = async (options: CreateEngineOptions, { onProgress, onRunner }: EngineHooks): Promise<Loaded> => {
  // Imported when needed: a scripted model runs where no GPU binding can be loaded.
  const { loadModel } = await import('./load-model.ts');
  const { warmUp } = await import('./warm-up.ts');
  const { chatTemplatePath: _, ...rebuildOptions } = loadOptions(options);
  const load = async (given: LoadOptions) => {
    const loaded = await loadModel(options.model, given, onProgress);
    try {
      await warmUp(loaded.runner);
    } catch (error) {
      await loaded.runner.close();
      throw error;
    }
    onRunner?.(loaded.runner);
    return loaded;
  };
  const { runner, description, tokenizer, adapter, kvFormat } = await load(loadOptions(options));
  if (tokenizer === undefined) {
    await runner.close();
    throw new EngineError(
      'model_unsupported',
      `${options.model} has no tokenizer, so it can neither read nor write text; \`firstlight logits\` takes token ids`,
    );
  }
  return {
    runner,
    model: description,
    adapter,
    kvFormat,
    output: modelOutput(tokenizer, { toolFormat: options.toolFormat ?? 'auto' }),
    definition: tokenizer,
    rebuild: async () => {
      // The workers have their template already, whatever has become of its file.
      const again = await load(rebuildOptions);
      if (again.description.fingerprint === description.fingerprint) return again.runner;
      await again.runner.close();
      throw new Error(`${options.model} or the adapter has changed since it was loaded; restart the server`);
    },
  };
};

const loadOptions = ({ maxRunning, ...options }: CreateEngineOptions): LoadOptions =>
  maxRunning === undefined ? options : { ...options, maxSequences: maxRunning };

const DEFAULT_LIMITS = { maxTokens: 512, maxSequences: 64, maxRows: 64 };
const BLOCK_SIZE = 16;
const BLOCK_BYTES = BLOCK_SIZE * Uint32Array.BYTES_PER_ELEMENT;
const DEFAULT_KV_BYTES = 64 * 1024 ** 2;

const loadScripted = async (options: CreateEngineOptions, { beforeToken }: EngineHooks): Promise<Loaded> => {
  const { toolFormat = 'auto' } = options;
  if (options.chatTemplatePath !== undefined) {
    const reason = 'a scripted model has its own marks for roles; leave the option out';
    throw new EngineError('config_invalid', `--chat-template ${options.chatTemplatePath}: ${reason}`);
  }
  const script = await readScript(options.model.slice(SCRIPTED.length));
  const definition = scriptDefinition(script);
  await sleep(script.loadMs);
  const contextLength = options.contextLength ?? script.contextLength;
  const maxTokens = options.maxBatchTokens ?? DEFAULT_LIMITS.maxTokens;
  const maxSequences = options.maxRunning ?? DEFAULT_LIMITS.maxSequences;
  const kv = scriptedKv(contextLength, options.kvMemoryBytes ?? DEFAULT_KV_BYTES, maxSequences);
  const build = (): ModelRunner =>
    new ScriptedRunner(script, {
      ...kv,
      limits: { maxTokens, maxSequences, maxRows: maxSequences },
      ...(beforeToken === undefined ? {} : { beforeToken }),
    });
  return {
    runner: build(),
    model: describeScript(script, contextLength, options.modelId),
    adapter: 'none (scripted model)',
    kvFormat: 'u32',
    output: modelOutput(definition, { ...scriptOutput(script), ...(toolFormat === 'auto' ? {} : { toolFormat }) }),
    definition,
    rebuild: async () => build(),
  };
};

/** As many blocks as the memory holds (4 bytes a token), at least one sequence of full length. */
const scriptedKv = (
  contextLength: number,
  kvMemoryBytes: number,
  maxSequences: number,
): Pick<KvGeometry, 'blockSize' | 'numBlocks'> => {
  const perSequence = Math.ceil(contextLength / BLOCK_SIZE);
  const affordable = Math.min(Math.floor(kvMemoryBytes / BLOCK_BYTES), perSequence * maxSequences);
  return { blockSize: BLOCK_SIZE, numBlocks: Math.max(affordable, perSequence) };
};

const describeScript = (script: Script, contextLength: number, modelId: string | undefined): ModelDescription => ({
  id: modelId ?? basename(script.path).replace(/\.json$/, ''),
  architecture: 'scripted',
  contextLength,
  vocabularySize: script.vocabulary.length,
  hasChatTemplate: true,
  generates: true,
  embedding: { size: SCRIPTED_EMBEDDING_SIZE, pooling: 'mean' },
  fingerprint: script.fingerprint,
  createdAt: script.createdAt,
});
