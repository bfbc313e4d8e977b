/** The vocabulary of the engine's boundary: what a request is, what comes out. Types only. */
import type { CacheHints, CacheReport, CacheTier, PerTier, Sessions } from './api-cache.ts';

export type * from './api-cache.ts';

/** One part of a message. Text only until encoders for other media exist. */
export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

export type Role = 'system' | 'developer' | 'user' | 'assistant' | 'tool';

/** A tool that the model may call. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of the arguments, which are an object. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** True: the arguments are made to satisfy `parameters`. */
  readonly strict?: boolean;
}

/** Whether the model may, must or must not call a tool: enforced while tokens are chosen, not asked for in the prompt. */
export interface ToolChoice {
  readonly mode: 'auto' | 'none' | 'required';
  /** The only tools that may be called; absent: every tool of the prompt. */
  readonly names?: readonly string[];
  /** False: at most one call an answer. */
  readonly parallel: boolean;
}

/** What the answer's text must be; reasoning before it stays free. `param` is the request's field, for errors. */
export type OutputConstraint =
  /** Any JSON object. */
  | { readonly kind: 'json_object' }
  /** JSON that satisfies this JSON Schema. */
  | {
      readonly kind: 'json_schema';
      readonly schema: Readonly<Record<string, unknown>> | boolean;
      readonly param?: string;
    }
  /** A sentence of this grammar's `root` rule, in xgrammar's EBNF. */
  | { readonly kind: 'grammar'; readonly ebnf: string; readonly param?: string }
  /** A text that this regular expression matches from end to end. */
  | { readonly kind: 'regex'; readonly pattern: string; readonly param?: string };

/** An earlier call of a tool by the assistant. */
export interface ToolCall {
  /** The `toolCallId` of the message with the result. */
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A message as a chat template sees it. */
export interface ChatMessage {
  readonly role: Role;
  readonly content: string | readonly TextPart[];
  /** The assistant's earlier thinking; templates decide whether to show it again. */
  readonly reasoning?: string;
  readonly name?: string;
  /** The assistant's. */
  readonly toolCalls?: readonly ToolCall[];
  /** Role `tool`: the call that this is the result of. */
  readonly toolCallId?: string;
}

export type ReasoningEffort = 'low' | 'medium' | 'high';

/** A conversation to be rendered by the model's chat template. */
export interface ChatPrompt {
  readonly kind: 'chat';
  readonly messages: readonly ChatMessage[];
  /** Shown to the model by its template. */
  readonly tools?: readonly ToolDefinition[];
  /** Thinking on or off; absent: the template's own default. */
  readonly enableThinking?: boolean;
  readonly reasoningEffort?: ReasoningEffort;
  /** Further variables for the template (`chat_template_kwargs`). */
  readonly templateArguments?: Readonly<Record<string, unknown>>;
  /**
   * True: late instructions that the template has no place for may wait for the next user message, although the next
   * turn then finds less in the cache. Absent: they stand where they were said.
   */
  readonly verbatim?: boolean;
  /** True: the last message is an assistant turn that the model continues. */
  readonly continueFinalMessage: boolean;
}

/** Plain text, tokenized as it stands (with the model's BOS if it wants one). */
export interface TextPrompt {
  readonly kind: 'text';
  readonly text: string;
  /** False: without the model's BOS. */
  readonly addSpecial?: boolean;
  /** False: what looks like a special token is plain text. */
  readonly parseSpecial?: boolean;
}

/** Token ids, used as they are. */
export interface TokensPrompt {
  readonly kind: 'tokens';
  readonly tokenIds: readonly number[];
}

/** Text around a gap, which the model fills: put together with its own tokens for that. Both texts are plain. */
export interface FillPrompt {
  readonly kind: 'fill';
  readonly prefix: string;
  readonly suffix: string;
}

export type Prompt = ChatPrompt | TextPrompt | TokensPrompt | FillPrompt;

/** How the next token is chosen. Every field is set; `DEFAULT_SAMPLING` in `sampling.ts` has the neutral values. */
export interface SamplingParameters {
  /** 0 = greedy. */
  readonly temperature: number;
  /** Keep the k most probable tokens; 0 = all. */
  readonly topK: number;
  /** Nucleus mass; 1 = all. */
  readonly topP: number;
  /** Drop tokens below this share of the best one's probability; 0 = none. */
  readonly minP: number;
  /** > 1 divides positive and multiplies negative logits of tokens seen in prompt or answer; 1 = off. */
  readonly repetitionPenalty: number;
  /** Subtracted once from every token already generated; 0 = off. */
  readonly presencePenalty: number;
  /** Subtracted once per occurrence in the answer; 0 = off. */
  readonly frequencyPenalty: number;
  /** Added to the logits of these tokens: pairs of token id and bias. */
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /** Seeds the sequence's own random numbers; absent: unpredictable. */
  readonly seed?: number;
  /** Report log-probabilities of the chosen token and of this many best ones (0 to 20); absent: none. */
  readonly topLogprobs?: number;
}

/** One answer to make. A dialect that wants n answers submits n requests. */
export interface GenerationRequest {
  /** For logs and traces; unique per request. */
  readonly id: string;
  readonly prompt: Prompt;
  /** Most tokens to generate; absent: up to the context's end. */
  readonly maxTokens?: number;
  /** Generation ends before the first of these strings; none of them is sent. */
  readonly stop: readonly string[];
  readonly sampling: SamplingParameters;
  /** Absent: `auto` with parallel calls. Without tools in the prompt it has no meaning. */
  readonly toolChoice?: ToolChoice;
  /** Absent: the answer is free. */
  readonly constraint?: OutputConstraint;
  /** Most tokens of reasoning: at the limit the model is made to close it. Absent: no limit of its own. */
  readonly reasoningBudgetTokens?: number;
  /**
   * Report log-probabilities of the prompt's own tokens, and of this many best ones at each place (0 to 20). The prompt is
   * then computed whole, whatever the cache has of it, and nothing of it is left there. Absent: none.
   */
  readonly promptTopLogprobs?: number;
  /** Absent: no session, no owner, nothing pinned. */
  readonly cache?: CacheHints;
}

/** The log-probability (natural, from the unmodified distribution) of one token and its text. */
export interface TokenLogprob {
  readonly tokenId: number;
  /** The token's own bytes; they need not be whole UTF-8. */
  readonly bytes: Uint8Array;
  readonly logprob: number;
}

/** The chosen token with the most probable alternatives, best first. */
export interface ChosenLogprob extends TokenLogprob {
  readonly top: readonly TokenLogprob[];
}

/** How probable a model finds each token of its prompt after those before it. Natural, from the unmodified distribution. */
export interface PromptLogprobs {
  /** [numTokens] */
  readonly tokenIds: Uint32Array;
  /** [numTokens]; NaN for the first, which has nothing before it. */
  readonly logprobs: Float64Array;
  readonly numTop: number;
  /** [numTokens, numTop] the most probable tokens at each place, best first; the first row means nothing. */
  readonly topIds: Uint32Array;
  /** [numTokens, numTop] */
  readonly topLogprobs: Float64Array;
  /** Of every token that is named above. */
  readonly pieces: ReadonlyMap<number, TokenPiece>;
}

export interface Usage {
  readonly promptTokens: number;
  /** Prompt tokens whose KV came from the cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Completion tokens spent inside a reasoning block. */
  readonly reasoningTokens: number;
}

/**
 * stop: the model ended its turn. tool_calls: it did so after at least one whole call of a tool. stop_sequence: a stop
 * string was met. length: a limit was met.
 */
export type FinishReason = 'stop' | 'tool_calls' | 'stop_sequence' | 'length';

/** What went wrong in an answer without ending it. `malformed_tool_call`: what looked like a call became text. */
export type WarningCode = 'malformed_tool_call';

/**
 * What a generation says, in order: one `start`, before its prompt is computed, then text, reasoning and tool calls as
 * the tokens are made, then one `finish`. One tool call is open at a time; text never comes inside one. Text is always whole UTF-8. The pieces of a
 * call's arguments joined are one JSON object. A call without `tool_call_end` is not whole, and its arguments are no
 * JSON: either a limit ended the answer inside it, or a `warning` with its index gives it up, and text follows that
 * says the whole call as the model wrote it. What is still unsent of a call that was given up is better not sent.
 * A failure throws an `EngineError` out of the iteration instead of `finish`.
 */
export type GenerationEvent =
  | {
      readonly type: 'start';
      readonly promptTokens: number;
      readonly cachedTokens: number;
      /** Absent where nothing is kept between requests. */
      readonly cache?: CacheReport;
    }
  /** Once, where they were asked for, before anything that is generated. */
  | { readonly type: 'prompt_logprobs'; readonly logprobs: PromptLogprobs }
  | { readonly type: 'text'; readonly text: string; readonly logprobs?: readonly ChosenLogprob[] }
  | { readonly type: 'reasoning'; readonly text: string; readonly logprobs?: readonly ChosenLogprob[] }
  | {
      readonly type: 'tool_call_start';
      /** 0, 1, 2 … within the answer. */
      readonly index: number;
      /** Unique in the conversation, in the form that the model's template wants. */
      readonly id: string;
      readonly name: string;
    }
  | { readonly type: 'tool_call_arguments'; readonly index: number; readonly text: string }
  | { readonly type: 'tool_call_end'; readonly index: number }
  | {
      readonly type: 'warning';
      readonly code: WarningCode;
      readonly message: string;
      /** The open call that it ends, by giving it up. Absent: the call was never announced. */
      readonly index?: number;
    }
  | {
      readonly type: 'finish';
      readonly reason: FinishReason;
      /** The stop string that was met (`stop_sequence`). */
      readonly stopSequence?: string;
      readonly usage: Usage;
    };

/** A request the engine has accepted. Iterate `events` once; leaving the loop early aborts the work. */
export interface Generation {
  readonly promptTokens: number;
  /** Prompt tokens that a first look found in the cache; what is found in the end, the `start` event says. */
  readonly lookup?: PerTier;
  readonly events: AsyncIterable<GenerationEvent>;
}

export interface EmbedOptions {
  /** Length of the embeddings: the model's own, cut to its first elements; absent: all. */
  readonly dimensions?: number;
  readonly signal: AbortSignal;
}

/** Directions in the model's space of meanings: of length 1, so that a dot product is the cosine. */
export interface Embeddings {
  /** One for each prompt, in order. */
  readonly embeddings: readonly Float32Array[];
  /** Of all prompts together, the model's own tokens around a text included. */
  readonly promptTokens: number;
}

/** What a model's embeddings are. */
export interface EmbeddingDescription {
  /** Elements. */
  readonly size: number;
  /** What they are made of: the mean of all tokens' last states, the first one's, or the last one's. */
  readonly pooling: 'mean' | 'cls' | 'last';
}

/** What the server needs to know of the loaded model. */
export interface ModelDescription {
  /** The name clients use. */
  readonly id: string;
  readonly architecture: string;
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly hasChatTemplate: boolean;
  /** False: an encoder, which makes embeddings alone. */
  readonly generates: boolean;
  /** Absent: it makes no embeddings. */
  readonly embedding?: EmbeddingDescription;
  /** Hex digest of weights, tokenizer and sampler version: equal fingerprints keep `seed` promises. */
  readonly fingerprint: string;
  /** Unix seconds: the model file's modification time. */
  readonly createdAt: number;
}

/** A tier below the pool. Counts are of blocks, since the start. */
export interface KvTierStats {
  readonly tier: Exclude<CacheTier, 'pool'>;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly blocks: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictedBlocks: number;
  readonly corruptBlocks: number;
  /** Not written, since the queue or the tier was full. */
  readonly droppedBlocks: number;
  /** Not written, since writing failed. */
  readonly failedBlocks: number;
  /** Times that the thread which keeps the tier's files died, and another took its place. */
  readonly threadDeaths: number;
}

/** A snapshot of the engine's load. Counts, bytes and seconds. */
export interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  readonly kvBlocksTotal: number;
  /** Blocks that unfinished sequences reference; evictable cached blocks are not counted. */
  readonly kvBlocksUsed: number;
  readonly kvBlocksCached: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
  readonly preemptions: number;
  readonly steps: number;
  readonly deviceLosses: number;
  readonly gpuBytes: number;
  /** Blocks read from the pool for the tiers below it, and written back. */
  readonly kvBlocksSaved: number;
  readonly kvBlocksRestored: number;
  /** What that took of the engine's loop, in milliseconds. */
  readonly kvTrafficMs: number;
  readonly kvTiers: readonly KvTierStats[];
  /** Sessions that could not be read, written or removed on disk. */
  readonly sessionFailures: number;
}

/** A token's text, or its bytes where they are no whole UTF-8. */
export type TokenPiece = string | Uint8Array;

/** What stands between text and token ids. */
export interface Tokenization {
  /** Token ids of the prompt as `generate` would feed them. @throws EngineError as `generate` */
  tokenize(prompt: Prompt): Promise<Uint32Array>;
  /** The tokens' text, special ones included; bytes that are no UTF-8 become U+FFFD. @throws EngineError invalid_request */
  detokenize(tokenIds: readonly number[]): Promise<string>;
  /** Each token's own text. @throws EngineError invalid_request */
  pieces(tokenIds: ArrayLike<number>): Promise<readonly TokenPiece[]>;
  /** The text of a conversation as `generate` would tokenize it, before a BOS is added. @throws EngineError as `generate` */
  renderPrompt(prompt: ChatPrompt): Promise<string>;
}

/** The engine as the server and library users see it, whichever thread it runs in. */
export interface Engine {
  readonly model: ModelDescription;
  /** The adapter's name, as printed at start-up. */
  readonly adapter: string;
  /**
   * Renders, tokenizes and checks the request, and queues it. Resolves before any token is computed.
   * Aborting `signal` stops the work within one step, also while queued or in prefill.
   * @throws EngineError invalid_request, context_length_exceeded, overloaded, shutting_down, not_supported
   */
  generate(request: GenerationRequest, signal: AbortSignal): Promise<Generation>;
  /**
   * The embeddings of all prompts, computed together as far as a step holds them; streams go on meanwhile. A text gets
   * the tokens around it that the model was trained with; token ids are used as they are. Nothing is cut off.
   * @throws EngineError invalid_request, context_length_exceeded, overloaded, shutting_down, aborted, not_supported
   */
  embed(prompts: readonly Prompt[], options: EmbedOptions): Promise<Embeddings>;
  /** Tokens of the prompt as `generate` would feed it. @throws EngineError as `generate` */
  countTokens(prompt: Prompt): Promise<number>;
  stats(): EngineStats;
  readonly sessions: Sessions;
  readonly tokenizer: Tokenization;
  /** Ends the loop and frees the device. Requests in flight fail with `shutting_down`. */
  close(): Promise<void>;
}
