/** Puts the engine of an embedding model together: runner, tokenizer, worker pool. */
import { availableParallelism } from 'node:os';
import { createWorkerPool } from '../workers/pool.ts';
import type { Engine } from './api.ts';
import type { EngineHooks } from './create-engine.ts';
import type { CreateEngineOptions } from './create-engine-options.ts';
import { EncoderEngine } from './encoder-engine.ts';
import type { EmbeddingRunner } from './encoder-runner.ts';
import { EngineError } from './errors.ts';
import { loadEncoder } from './load-encoder.ts';

export { holdsEncoder } from './load-encoder.ts';

/** Drivers compile a shader when it is first dispatched; kernels have variants for one row, a few and many. */
const WARM_UP_TOKENS = [1, 5, 33];

/** @throws EngineError as `createEngine` */
export const createEncoderEngine = async (
  options: CreateEngineOptions,
  { onProgress }: Pick<EngineHooks, 'onProgress'>,
): Promise<Engine> => {
  if (options.chatTemplatePath !== undefined) {
    const reason = `${options.model} is an embedding model, which has no conversations; leave the option out`;
    throw new EngineError('config_invalid', `--chat-template ${options.chatTemplatePath}: ${reason}`);
  }
  const { model: path, maxRunning, maxQueue } = options;
  const load = async () => {
    const limits = maxRunning === undefined ? {} : { maxSequences: maxRunning };
    const loaded = await loadEncoder(path, { ...options, ...limits }, onProgress);
    try {
      await warmUp(loaded.runner);
    } catch (error) {
      await loaded.runner.close();
      throw error;
    }
    return loaded;
  };
  const { runner, description: model, tokenizer: definition, adapter } = await load();
  try {
    if (definition === undefined) {
      throw new EngineError('model_unsupported', `${path} has no tokenizer, so it cannot read text`);
    }
    const numThreads = options.numWorkerThreads ?? Math.max(1, Math.min(4, availableParallelism() - 1));
    const workers = await createWorkerPool({ definition, numThreads, vocabularySize: model.vocabularySize });
    return new EncoderEngine({
      runner,
      model,
      adapter,
      endTokenId: definition.embeddingEndTokenId,
      workers,
      ...(maxQueue === undefined ? {} : { maxQueue }),
      rebuild: async () => {
        const again = await load();
        if (again.description.fingerprint === model.fingerprint) return again.runner;
        await again.runner.close();
        throw new Error(`${path} or the adapter has changed since it was loaded; restart the server`);
      },
    });
  } catch (error) {
    await runner.close();
    throw error;
  }
};

const warmUp = async (runner: EmbeddingRunner): Promise<void> => {
  for (const numTokens of WARM_UP_TOKENS) {
    if (numTokens <= runner.limits.maxTokens) await runner.embed([new Uint32Array(numTokens)]);
  }
};
