/** The contract of what keeps models on this machine; the server lists them, and lets its owner fetch and remove them. */
import type { ErrorRecord } from '../runtime/errors.ts';

export interface StoredModel {
  /** The name that finds it: `ORG/NAME:Q4_K_M`. */
  readonly id: string;
  readonly format: 'gguf' | 'safetensors';
  /** Of all its files. */
  readonly sizeBytes: number;
  /** Unix seconds of its newest file. */
  readonly createdAt: number;
  /** Tokens; undefined where the model cannot be read. */
  readonly contextLength: number | undefined;
  /** Why it cannot be read, or cannot run. */
  readonly error: ErrorRecord | undefined;
  /** These files are what the engine has loaded, under whatever name. */
  readonly isServed: boolean;
}

export interface StoreProgress {
  readonly phase: 'fetch' | 'check';
  /** The file at work. */
  readonly file: string;
  /** Of all files together; what earlier attempts left is counted. */
  readonly fetchedBytes: number;
  readonly checkedBytes: number;
  readonly totalBytes: number;
  /** Of the last seconds; undefined while there is nothing to tell from. */
  readonly bytesPerSecond: number | undefined;
}

export interface StoreRemoval {
  readonly ids: readonly string[];
  readonly freedBytes: number;
}

export interface ModelStore {
  /** All models here, those that cannot be read included. */
  list(): Promise<readonly StoredModel[]>;
  /**
   * Resolves when the model is here and right. What came before a failure or an abort stays for the next attempt.
   * @throws EngineError invalid_request for what is no name; conflict while its repository is being fetched or
   * removed; aborted; whatever else kept the model from coming
   */
  pull(name: string, onProgress: (progress: StoreProgress) => void, signal: AbortSignal): Promise<StoredModel>;
  /** @throws EngineError model_not_found; conflict when the model is served, or its repository is at work */
  remove(name: string): Promise<StoreRemoval>;
}
