/**
 * What an engine can be told, for the library's callers too: nothing here leads to the types of kernels, which need WebGPU's
 * own, and which ones those are depends on the caller's TypeScript.
 */
import type { EngineOptions } from './engine-parts.ts';
import type { KvTierOptions } from './kv-storage.ts';
import type { ModelOutputOptions } from './output/model-output.ts';

/** `auto` takes f16 where a real GPU computes it, else f32. */
export type Precision = 'auto' | 'f32' | 'f16';

export interface LoadOptions {
  readonly adapter?: string;
  /** Dawn's validation and bounds checks: `none` in a release, `full` in tests. */
  readonly checks?: 'full' | 'none';
  /** Tokens a sequence may have; absent: the model's own, or as many as the KV memory holds. */
  readonly contextLength?: number;
  readonly kvMemoryBytes?: number;
  readonly maxBatchTokens?: number;
  readonly maxSequences?: number;
  readonly maxRows?: number;
  readonly activations?: Precision;
  readonly kvFormat?: 'auto' | 'f32' | 'f16' | 'q8' | 'q4';
  /** Converts unquantized matrices while loading. */
  readonly quantize?: 'q8_0' | 'q4_0' | 'q4_k';
  /** Leaves the tokenizer unread, so that one which is not supported does not matter. */
  readonly takesIdsOnly?: boolean;
  /** A Jinja file in place of the model's own chat template. */
  readonly chatTemplatePath?: string;
  /** The name clients use; absent: the file's name. */
  readonly modelId?: string;
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

export interface CreateEngineOptions extends EngineOptions, Omit<LoadOptions, 'maxRows' | 'maxSequences'> {
  /** A GGUF file, a folder with one, or `scripted:FILE.json`. */
  readonly model: string;
  /** Threads that tokenize and sample; absent: up to four, and one core is left to the rest. */
  readonly numWorkerThreads?: number;
  /** Where KV goes that the pool has no room for, and sessions with it; absent: both end with the engine. */
  readonly kvTiers?: KvTierOptions;
  /** How the model writes calls of tools. Absent or `auto`: as its chat template has it. */
  readonly toolFormat?: NonNullable<ModelOutputOptions['toolFormat']>;
}

export interface LoadHooks {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Hears of troubles that fail no request. */
  readonly onWarning?: (message: string) => void;
}
