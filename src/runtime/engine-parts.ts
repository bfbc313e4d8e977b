/** What an engine is made of. */
import type { WorkerPool } from '../workers/pool.ts';
import type { ModelDescription } from './api.ts';
import type { GrammarWorkers } from './constraint.ts';
import type { KvStore } from './kv/block-traffic.ts';
import type { ModelRunner } from './model-runner.ts';
import type { ModelOutput } from './output/model-output.ts';
import type { StoredSessions } from './sessions/engine-sessions.ts';

export interface EngineOptions {
  /** Most tokens a step; at most what the runner takes. */
  readonly maxBatchTokens?: number;
  /** Most prompt tokens a step while answers are streaming. */
  readonly maxPrefillChunk?: number;
  /** Most sequences at once; at most what the runner takes. */
  readonly maxRunning?: number;
  /** Most requests that wait beyond those that run. */
  readonly maxQueue?: number;
}

export interface EngineParts {
  readonly runner: ModelRunner;
  readonly model: ModelDescription;
  readonly adapter: string;
  readonly kvFormat: string;
  /** How the model writes its answers. */
  readonly output: ModelOutput;
  readonly workers: Pick<
    WorkerPool,
    'prepare' | 'render' | 'nextTokens' | 'flush' | 'encode' | 'decode' | 'pieces' | 'close'
  > &
    GrammarWorkers;
  readonly options: EngineOptions;
  /** Goes behind texts whose embeddings are wanted. */
  readonly embeddingEndTokenId?: number | undefined;
  /** Keeps KV below the pool; absent: what the pool evicts is gone. The engine closes it. */
  readonly store?: ClosableStore;
  /** What earlier processes knew of their sessions, and where it is kept; absent: sessions end with the engine. */
  readonly sessions?: StoredSessions;
  /** Makes a runner of the same geometry after the device was lost. */
  readonly rebuild: () => Promise<ModelRunner>;
}

/** A store that can be closed: what it was given is then safe as far as its own rules promise. */
export interface ClosableStore extends KvStore {
  close(): Promise<void>;
}
