/** The vocabulary of what is kept between requests: where KV came from, and named conversations. Types only; imports nothing. */

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
