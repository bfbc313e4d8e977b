/** The library's public face. */
import type { Engine } from './runtime/api.ts';
import { createEngine as create } from './runtime/create-engine.ts';
import type { CreateEngineOptions, LoadHooks } from './runtime/create-engine-options.ts';

export type {
  CacheHints,
  CacheMiss,
  CacheMissCause,
  CacheMissReason,
  CacheReport,
  CacheTier,
  ChatMessage,
  ChatPrompt,
  ChosenLogprob,
  EmbeddingDescription,
  Embeddings,
  EmbedOptions,
  Engine,
  EngineStats,
  FillPrompt,
  FinishReason,
  Generation,
  GenerationEvent,
  GenerationRequest,
  KvTierStats,
  ModelDescription,
  NewSession,
  OutputConstraint,
  PerTier,
  Prompt,
  PromptLogprobs,
  ReasoningEffort,
  RequestCache,
  Role,
  SamplingParameters,
  SessionDescription,
  SessionDetails,
  Sessions,
  TextPart,
  TextPrompt,
  Tokenization,
  TokenLogprob,
  TokenPiece,
  TokensPrompt,
  ToolCall,
  ToolChoice,
  ToolDefinition,
  Usage,
  WarningCode,
} from './runtime/api.ts';
export { EMBEDDED_MODEL_PATH } from './runtime/config.ts';
export type { CreateEngineOptions, LoadHooks, LoadProgress } from './runtime/create-engine-options.ts';
export { EngineError, type ErrorCode, type ErrorDetails } from './runtime/errors.ts';
export { DEFAULT_SAMPLING } from './runtime/sampling.ts';
export { createServer, type Server } from './server/app.ts';
export type { ModelStore, StoredModel, StoreProgress, StoreRemoval } from './server/model-store.ts';
export type { ServerOptions } from './server/options.ts';
export type { ResponseStoreOptions } from './server/responses/response-store.ts';

/**
 * Loads a model and starts its engine in this thread. Close the engine to free the device and the worker threads.
 * @throws EngineError model_not_found, model_file_invalid, model_unsupported, adapter_not_found, out_of_memory
 */
export const createEngine: (options: CreateEngineOptions, hooks?: LoadHooks) => Promise<Engine> = create;
