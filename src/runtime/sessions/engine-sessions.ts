/** The sessions of an engine, as the engine's users call them. */
import { setImmediate as nextTick } from 'node:timers/promises';
import type {
  CacheMiss,
  CacheTier,
  GenerationRequest,
  NewSession,
  PerTier,
  RequestCache,
  SessionDescription,
  SessionDetails,
  Sessions,
} from '../api.ts';
import { EngineError } from '../errors.ts';
import type { KvIdentity } from './cache-miss.ts';
import type { Exchange } from './exchange.ts';
import { type ChainLocation, type KvChains, NO_CHAINS } from './kv-chains.ts';
import type { Session, SessionMiss } from './session.ts';
import { decodeArchive, encodeArchive } from './session-archive.ts';
import { DEFAULT_SESSION_LIMITS, type SessionLimits, SessionRegistry } from './session-registry.ts';
import type { SessionStore } from './session-store.ts';
import { commonPrefix, type Timeline, type TimelineState } from './timeline.ts';

/** Sessions that outlive the process. */
export interface StoredSessions {
  readonly store: SessionStore;
  /** What the store had at the start. */
  readonly stored: readonly Session[];
}

export interface EngineSessionsParts extends Partial<StoredSessions> {
  /** Absent: KV is found by content alone, and nothing can be said or asked of a session's. */
  readonly chains?: KvChains;
  readonly identity: KvIdentity;
  readonly limits?: Partial<SessionLimits>;
  /** The text of token ids; those of an imported file included. */
  readonly decode: (tokenIds: readonly number[]) => Promise<string>;
  readonly vocabularySize: number;
  readonly contextLength: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

const noRoom = (): EngineError =>
  new EngineError(
    'conflict',
    'the KV of the session file has no place here: start the server with memory or disk for KV below the pool',
    { reason: 'no_kv_tier' },
  );

const MEMORY: readonly CacheTier[] = ['pool', 'ram'];
/** Tokens of stored sessions whose blocks are looked up at the start: about a second of one core. */
const MOST_ENLIVENED = 4 * 1024 ** 2;
const EVERYWHERE: readonly CacheTier[] = ['pool', 'ram', 'disk'];

export class EngineSessions implements Sessions {
  readonly #parts: EngineSessionsParts;
  readonly #chains: KvChains;
  readonly #registry: SessionRegistry;
  #isClosed = false;

  constructor(parts: EngineSessionsParts) {
    const { chains = NO_CHAINS, identity, limits, store, stored = [], now = Date.now } = parts;
    this.#parts = parts;
    this.#chains = chains;
    this.#registry = new SessionRegistry({
      chains,
      identity,
      limits: { ...DEFAULT_SESSION_LIMITS, ...limits },
      store,
      now,
    });
    this.#registry.adopt(stored);
    void this.#enliven(stored);
  }

  /** Sessions that could not be read, written or removed on disk, since the start. */
  get numFailures(): number {
    return this.#parts.store?.numFailures ?? 0;
  }

  /** Follows a request whose prompt is these tokens. */
  begin(request: GenerationRequest, tokenIds: Uint32Array): Exchange {
    return this.#registry.begin(request, tokenIds);
  }

  /** Resolves when all that happened is on disk. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#parts.store?.close();
  }

  async list(
    owner: string,
    { limit, after }: { readonly limit: number; readonly after?: string },
  ): Promise<readonly SessionDescription[]> {
    const all = this.#registry.list(owner);
    const start = after === undefined ? 0 : all.findIndex(({ head }) => head.id === after) + 1;
    const descriptions: SessionDescription[] = [];
    for (const session of all.slice(start, start + limit)) {
      descriptions.push(this.#describe(session));
      // Finding every block of every session takes its time: steps go on in between.
      await nextTick();
    }
    return descriptions;
  }

  async get(owner: string, id: string): Promise<SessionDetails> {
    const session = this.#registry.get(owner, id);
    const misses = [...session.head.misses].reverse();
    return { ...this.#describe(session), misses: await Promise.all(misses.map((miss) => this.#readable(miss))) };
  }

  async create(owner: string, session: NewSession): Promise<SessionDescription> {
    return this.#describe(this.#registry.create(owner, session));
  }

  async fork(owner: string, id: string, session: NewSession): Promise<SessionDescription> {
    const parent = this.#registry.get(owner, id);
    const states = this.#registry.isCurrent(parent) ? parent.timelines.map(({ state }) => state) : [];
    const { ttlSeconds } = parent.head;
    return this.#describe(this.#registry.create(owner, { ttlSeconds, ...session }, id, states));
  }

  async save(owner: string, id: string): Promise<SessionDescription> {
    const session = this.#registry.get(owner, id);
    const { store } = this.#parts;
    if (store === undefined || !this.#chains.isDurable) {
      const message = `session '${id}' cannot be saved: this server keeps nothing on disk; start it with a cache directory`;
      throw new EngineError('conflict', message, { reason: 'cache_not_durable' });
    }
    if (this.#registry.isCurrent(session))
      await Promise.all(session.timelines.map(({ state }) => this.#chains.save(state.tokenIds)));
    if (await store.flush(session)) return this.#describe(session);
    throw new EngineError('disk_full', `session '${id}' could not be written; the server's log says why`);
  }

  async pin(owner: string, id: string): Promise<SessionDescription> {
    const session = this.#registry.get(owner, id);
    this.#registry.pin(session);
    return this.#describe(session);
  }

  async unpin(owner: string, id: string): Promise<SessionDescription> {
    const session = this.#registry.get(owner, id);
    this.#registry.unpin(session);
    return this.#describe(session);
  }

  async evict(owner: string, id: string): Promise<SessionDescription> {
    const session = this.#registry.get(owner, id);
    if (this.#chains.isDurable) await this.save(owner, id);
    await this.#evict(session, MEMORY);
    return this.#describe(session);
  }

  async delete(owner: string, id: string): Promise<void> {
    const session = this.#registry.get(owner, id);
    await this.#registry.remove(session);
    await this.#evict(session, EVERYWHERE);
  }

  async export(owner: string, id: string): Promise<Uint8Array> {
    const session = this.#registry.get(owner, id);
    const state = this.#registry.isCurrent(session) ? session.latest?.state : undefined;
    if (state === undefined) {
      const message = `session '${id}' has no conversation of this model to export; send a request of it first`;
      throw new EngineError('conflict', message, { reason: 'session_empty' });
    }
    const { tokenIds, numPromptTokens } = state;
    const blocks = await this.#chains.exportBlocks(tokenIds);
    if (blocks.length === 0) {
      const message = `the KV of session '${id}' is not here any more; send a request of it, then export it`;
      throw new EngineError('conflict', message, { reason: 'session_evicted' });
    }
    return encodeArchive({ identity: this.#parts.identity, id, numPromptTokens, tokenIds, blocks });
  }

  async import(owner: string, file: Uint8Array, session: NewSession): Promise<SessionDescription> {
    const { identity, contextLength, vocabularySize, now = Date.now } = this.#parts;
    const { id, tokenIds, numPromptTokens, blocks } = decodeArchive(file, identity);
    if (tokenIds.length > contextLength || tokenIds.some((token) => token >= vocabularySize)) {
      const message = `the session file has ${tokenIds.length} tokens; this server's context holds ${contextLength} of ${vocabularySize} kinds`;
      throw new EngineError('invalid_request', message, { param: 'file', reason: 'session_file_refused' });
    }
    const state: TimelineState = { tokenIds, numPromptTokens, answerReasons: false, lastUsedAt: now() };
    // The name is taken first: a conflict shows before anything is written.
    const created = this.#registry.create(owner, { id, ...session }, undefined, [state]);
    try {
      if ((await this.#chains.importBlocks(tokenIds, blocks)) === 0 && blocks.length > 0) throw noRoom();
    } catch (error) {
      await this.#registry.remove(created);
      throw error;
    }
    return this.#describe(created);
  }

  async requestCache(owner: string, requestId: string): Promise<RequestCache | undefined> {
    return this.#registry.requestCache(owner, requestId);
  }

  async #evict(session: Session, tiers: readonly CacheTier[]): Promise<void> {
    if (!this.#registry.isCurrent(session)) return;
    for (const { state } of session.timelines) {
      const keepTokens = this.#registry.sharedTokens(session, state.tokenIds);
      await this.#chains.evict(state.tokenIds, { tiers, keepTokens });
    }
  }

  /** Says which blocks of an earlier process are live sessions', the last ones first, while requests go on. */
  async #enliven(sessions: readonly Session[]): Promise<void> {
    let numTokens = 0;
    for (const session of [...sessions].sort((one, other) => other.head.lastUsedAt - one.head.lastUsedAt)) {
      if (!this.#registry.isCurrent(session)) continue;
      for (const { state } of session.timelines) {
        if (this.#isClosed || numTokens > MOST_ENLIVENED) return;
        numTokens += state.tokenIds.length;
        await nextTick();
        this.#chains.enliven(state.tokenIds);
      }
    }
  }

  #describe(session: Session): SessionDescription {
    const { head, timelines } = session;
    const { id, parent, createdAt, lastUsedAt, ttlSeconds, isPinned } = head;
    const isCurrent = this.#registry.isCurrent(session);
    const places = isCurrent ? timelines.map((timeline) => this.#locate(timeline)) : [];
    const until = this.#registry.pinnedUntil(session);
    const sum = (read: (place: ChainLocation) => number): number =>
      places.reduce((total, place) => total + read(place), 0);
    const perTier = (read: (place: ChainLocation) => PerTier): PerTier => ({
      pool: sum((place) => read(place).pool),
      ram: sum((place) => read(place).ram),
      disk: sum((place) => read(place).disk),
    });
    return {
      id,
      ...(parent === undefined ? {} : { parent }),
      createdAt,
      lastUsedAt,
      ttlSeconds,
      isPinned,
      ...(until > 0 ? { pinnedUntil: until } : {}),
      timelines: timelines.length,
      tokens: timelines.reduce((total, { state }) => total + state.tokenIds.length, 0),
      savedTokens: sum(({ savedTokens }) => savedTokens),
      tokensByTier: perTier(({ tokensByTier }) => tokensByTier),
      bytesByTier: perTier(({ bytesByTier }) => bytesByTier),
      requests: head.requests,
      promptTokens: head.promptTokens,
      cachedTokens: head.cachedTokens,
    };
  }

  /** KV on disk is of no use to a session whose tokens are not there as well. */
  #locate({ state, stored }: Timeline): ChainLocation {
    const place = this.#chains.locate(state.tokenIds);
    const storedTokens = stored === undefined ? 0 : commonPrefix(stored.tokenIds, state.tokenIds);
    return { ...place, savedTokens: Math.min(place.savedTokens, storedTokens) };
  }

  async #readable({ oldTokenIds, newTokenIds, ...miss }: SessionMiss): Promise<CacheMiss> {
    const { decode } = this.#parts;
    const [oldText, newText] = await Promise.all([decode(oldTokenIds), decode(newTokenIds)]);
    return { ...miss, oldText, newText };
  }
}
