/** The vocabulary of the engine's boundary: what a request is, what comes out. Types only; imports nothing. */

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
}

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
}

/** Token ids, used as they are. */
export interface TokensPrompt {
  readonly kind: 'tokens';
  readonly tokenIds: readonly number[];
}

export type Prompt = ChatPrompt | TextPrompt | TokensPrompt;

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

/** What a request says of the conversation that it belongs to. */
export interface CacheHints {
  /** Whose sessions these are: a digest of the API key, empty without one. Owners never see each other's. */
  readonly owner: string;
  /**
   * The session's name; absent: the request belongs to none, and shares prefixes by content alone. A name that begins
   * with `user:` or `key:` stands for whoever sends it rather than for one conversation: several live under it.
   */
  readonly session?: string;
  /** Seconds for which the prompt's KV is kept before all that is not pinned; absent: it is not pinned. */
  readonly pinSeconds?: number;
}

/** Where KV is kept, nearest first: on the device, in this machine's memory, on its disk. */
export type CacheTier = 'pool' | 'ram' | 'disk';

/**
 * Why not all of a prompt's KV was found: nothing was missing; nothing like it was seen before; it was seen but has been
 * evicted; or it differs from the session's last prompt from some token on.
 */
export type CacheMissReason = 'none' | 'new' | 'evicted' | 'changed';

/** Where one prompt's KV came from. Token counts add up to the prompt's length. */
export interface CacheReport {
  /** Prompt tokens found, by the tier that had them. */
  readonly found: Readonly<Record<CacheTier, number>>;
  readonly computed: number;
  readonly reason: CacheMissReason;
}

/**
 * What made a prompt differ from the session's last one, or why its KV was gone: the first request of a session; KV that
 * has been evicted; another model or KV format since; tools in another order, or other tools; another system prompt;
 * earlier reasoning that was left out; an earlier message that was changed; a conversation that is new to a `user:`
 * session; or a difference that none of these explains.
 */
export type CacheMissCause =
  | 'new_session'
  | 'new_conversation'
  | 'evicted'
  | 'other_model'
  | 'other_kv_format'
  | 'tools_reordered'
  | 'tools_changed'
  | 'system_changed'
  | 'reasoning_dropped'
  | 'history_changed'
  | 'prompt_changed';

/** One prompt of a session whose KV was not all found. For the session's owner alone: it quotes the conversation. */
export interface CacheMiss {
  readonly requestId: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** Where the prompt left the session's last one, in tokens. */
  readonly tokenIndex: number;
  /** Prompt tokens that had to be computed, beyond those that are new in any case. */
  readonly lostTokens: number;
  readonly cause: CacheMissCause;
  /** A few words from `tokenIndex` on, as they were and as they are; empty where there is nothing to compare. */
  readonly oldText: string;
  readonly newText: string;
}

/** Tokens or bytes in each tier. The same block may be in several. */
export type PerTier = Readonly<Record<CacheTier, number>>;

/** A session as its owner sees it. Times are Unix milliseconds. */
export interface SessionDescription {
  readonly id: string;
  /** The session that this one was forked from. */
  readonly parent?: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** Unused for so long, it is deleted. */
  readonly ttlSeconds: number;
  readonly isPinned: boolean;
  /** Until when what it was asked to keep is pinned; absent: no such mark is in force. */
  readonly pinnedUntil?: number;
  /** Conversations: more than one only under a name that stands for a user. */
  readonly timelines: number;
  /** Of its conversations, as they stood after their last answers. */
  readonly tokens: number;
  /** Tokens whose KV is on disk for good: found again after a restart. */
  readonly savedTokens: number;
  readonly tokensByTier: PerTier;
  readonly bytesByTier: PerTier;
  readonly requests: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/** A session with the misses of its last prompts, newest first. */
export interface SessionDetails extends SessionDescription {
  readonly misses: readonly CacheMiss[];
}

export interface NewSession {
  /** Absent: one is made up. */
  readonly id?: string;
  readonly ttlSeconds?: number;
  readonly isPinned?: boolean;
}

/** What happened to one request's prompt in the cache. */
export interface RequestCache {
  readonly requestId: string;
  readonly session?: string;
  readonly promptTokens: number;
  readonly report: CacheReport;
  /** Absent: nothing was missed. */
  readonly cause?: CacheMissCause;
}

/**
 * Named conversations whose KV is kept on purpose. Every call sees the owner's own sessions alone.
 * @throws EngineError not_found (reason `session_not_found`) for a name that the owner has no session by
 */
export interface Sessions {
  /** The most recently used first. `after`: go on behind this one. */
  list(
    owner: string,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<readonly SessionDescription[]>;
  get(owner: string, id: string): Promise<SessionDetails>;
  /** @throws EngineError conflict when there is such a session, or all that may be kept are pinned; invalid_request */
  create(owner: string, session: NewSession): Promise<SessionDescription>;
  /** Copies the session under another name, at no cost: blocks are shared until one of the two goes on. @throws as `create` */
  fork(owner: string, id: string, session: NewSession): Promise<SessionDescription>;
  /** Resolves when the session and its KV are on disk. @throws EngineError conflict without a cache directory; disk_full */
  save(owner: string, id: string): Promise<SessionDescription>;
  /** Keeps the session and its KV before all that is not pinned. */
  pin(owner: string, id: string): Promise<SessionDescription>;
  unpin(owner: string, id: string): Promise<SessionDescription>;
  /** Takes the session's KV out of pool and memory; what is on disk stays, and so does the session. */
  evict(owner: string, id: string): Promise<SessionDescription>;
  /** Forgets the session and its KV in every tier, save blocks that others share. */
  delete(owner: string, id: string): Promise<void>;
  /** The last used conversation with its KV as one file. @throws EngineError conflict when its KV is not all there */
  export(owner: string, id: string): Promise<Uint8Array>;
  /** @throws EngineError invalid_request for a file of another model or KV format, or a damaged one; else as `create` */
  import(owner: string, file: Uint8Array, session: NewSession): Promise<SessionDescription>;
  /** Undefined when the owner made no such request, or too long ago. */
  requestCache(owner: string, requestId: string): Promise<RequestCache | undefined>;
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

export interface Usage {
  readonly promptTokens: number;
  /** Prompt tokens whose KV came from the cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Completion tokens spent inside a reasoning block. */
  readonly reasoningTokens: number;
}

/** stop: the model ended its turn. stop_sequence: a stop string was met. length: a limit was met. */
export type FinishReason = 'stop' | 'stop_sequence' | 'length';

/**
 * What a generation says, in order: one `start`, then text and reasoning as the tokens are made, then one `finish`.
 * Text is always whole UTF-8. A failure throws an `EngineError` out of the iteration instead of `finish`.
 */
export type GenerationEvent =
  | {
      readonly type: 'start';
      readonly promptTokens: number;
      readonly cachedTokens: number;
      /** Absent where nothing is kept between requests. */
      readonly cache?: CacheReport;
    }
  | { readonly type: 'text'; readonly text: string; readonly logprobs?: readonly ChosenLogprob[] }
  | { readonly type: 'reasoning'; readonly text: string; readonly logprobs?: readonly ChosenLogprob[] }
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

/** What the server needs to know of the loaded model. */
export interface ModelDescription {
  /** The name clients use. */
  readonly id: string;
  readonly architecture: string;
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly hasChatTemplate: boolean;
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
  /** Tokens of the prompt as `generate` would feed it. @throws EngineError as `generate` */
  countTokens(prompt: Prompt): Promise<number>;
  stats(): EngineStats;
  readonly sessions: Sessions;
  /** Ends the loop and frees the device. Requests in flight fail with `shutting_down`. */
  close(): Promise<void>;
}
