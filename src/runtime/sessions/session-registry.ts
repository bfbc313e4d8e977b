/** Which sessions there are, how long they stay, and what of their KV is pinned. No timers: time is looked at on use. */
import { randomUUID } from 'node:crypto';
import type { GenerationRequest, NewSession, RequestCache } from '../api.ts';
import { EngineError } from '../errors.ts';
import type { KvIdentity } from './cache-miss.ts';
import { Exchange } from './exchange.ts';
import type { KvChains } from './kv-chains.ts';
import { Pins } from './pins.ts';
import { Session } from './session.ts';
import type { SessionStore } from './session-store.ts';
import { chooseTimeline, commonPrefix, Timeline, type TimelineState } from './timeline.ts';

export interface SessionLimits {
  /** Most sessions of all owners; the least recently used one that is not pinned goes first. */
  readonly maxSessions: number;
  /** Most tokens of all sessions' conversations together: 4 bytes of memory each. */
  readonly maxTokens: number;
  /** Of sessions that have no other: unused for so long, they are deleted. */
  readonly ttlSeconds: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = Object.freeze({
  maxSessions: 1000,
  maxTokens: 64 * 1024 ** 2,
  ttlSeconds: 7 * 24 * 3600,
});

export interface RegistryParts {
  readonly chains: KvChains;
  readonly identity: KvIdentity;
  readonly limits: SessionLimits;
  /** Absent: sessions end with the process. */
  readonly store: SessionStore | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Requests whose lookup can still be asked for. */
const MAX_REQUESTS = 4096;
/** Prompts that are pinned although they belong to no session. */
const MAX_LOOSE_PINS = 64;

export class SessionRegistry {
  readonly #parts: RegistryParts;
  /** The least recently used one first. */
  readonly #sessions = new Map<string, Session>();
  readonly #pins: Pins;
  readonly #loose: Timeline[] = [];
  readonly #requests = new Map<string, RequestCache>();

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#pins = new Pins(parts.chains);
  }

  /** Takes over what an earlier process left. */
  adopt(sessions: readonly Session[]): void {
    for (const session of [...sessions].sort((one, other) => one.head.lastUsedAt - other.head.lastUsedAt)) {
      this.#sessions.set(keyOf(session.head.owner, session.head.id), session);
      if (!this.isCurrent(session)) continue;
      if (session.head.isPinned) this.#pinAll(session);
      else this.#pinMarked(session);
    }
    this.#sweep();
    while (this.#sessions.size > this.#parts.limits.maxSessions && this.#dropOldest());
    this.#makeRoom();
  }

  /** False: its KV belongs to another model or format, and is not found. */
  isCurrent({ head: { identity } }: Session): boolean {
    const { modelFingerprint, kvFormat } = this.#parts.identity;
    return identity.modelFingerprint === modelFingerprint && identity.kvFormat === kvFormat;
  }

  /** The most recently used first. */
  list(owner: string): Session[] {
    this.#sweep();
    return [...this.#sessions.values()].filter(({ head }) => head.owner === owner).reverse();
  }

  /** @throws EngineError not_found */
  get(owner: string, id: string): Session {
    this.#sweep();
    const session = this.#sessions.get(keyOf(owner, id));
    if (session !== undefined) return session;
    const message = `there is no session '${id}'; GET /v1/sessions lists those there are`;
    throw new EngineError('not_found', message, { param: 'id', reason: 'session_not_found' });
  }

  /**
   * @param timelines those of a fork or of a file; shared states are never changed
   * @throws EngineError conflict
   */
  create(
    owner: string,
    { id = `session_${randomUUID().replaceAll('-', '')}`, ttlSeconds, isPinned = false }: NewSession,
    parent?: string,
    timelines: readonly TimelineState[] = [],
  ): Session {
    this.#sweep();
    if (this.#sessions.has(keyOf(owner, id))) {
      const message = `there is a session '${id}' already; take another id, or delete that one first`;
      throw new EngineError('conflict', message, { param: 'id', reason: 'session_exists' });
    }
    const session = this.#add(owner, id, parent);
    if (session === undefined) {
      const { maxSessions } = this.#parts.limits;
      const message = `all ${maxSessions} sessions that are kept are pinned; unpin or delete one first`;
      throw new EngineError('conflict', message, { reason: 'too_many_sessions' });
    }
    if (ttlSeconds !== undefined) session.head.ttlSeconds = ttlSeconds;
    session.timelines.push(...timelines.map((state) => new Timeline(state)));
    if (isPinned) this.pin(session);
    this.#parts.store?.write(session);
    return session;
  }

  pin(session: Session): void {
    session.head.isPinned = true;
    this.#pinAll(session);
    this.#parts.store?.write(session);
  }

  unpin(session: Session): void {
    session.head.isPinned = false;
    for (const timeline of session.timelines) this.#pins.drop(timeline);
    // Else it could be past its time at once.
    this.#touch(session);
    this.#parts.store?.write(session);
  }

  /** Until when a mark keeps something of the session; 0: none does. */
  pinnedUntil(session: Session): number {
    this.#pins.sweep(this.#parts.now());
    const untils = session.timelines.map((timeline) => this.#pins.until(timeline));
    return Math.max(0, ...untils.filter(Number.isFinite));
  }

  /** Forgets the session; its KV stays where it is. Resolves when it is off the disk, too. */
  async remove(session: Session): Promise<void> {
    if (!this.#has(session)) return;
    this.#sessions.delete(keyOf(session.head.owner, session.head.id));
    for (const timeline of session.timelines) this.#pins.drop(timeline);
    if (this.isCurrent(session)) this.#retire(session);
    await this.#parts.store?.remove(session);
  }

  /** Leading tokens of a conversation of this session that another one has too. */
  sharedTokens(session: Session, tokenIds: Uint32Array): number {
    return this.#othersThan(session).reduce((most, other) => Math.max(most, commonPrefix(other, tokenIds)), 0);
  }

  /** Every conversation of every session but this one. */
  #othersThan(session: Session): Uint32Array[] {
    return [...this.#sessions.values()]
      .filter((other) => other !== session && this.isCurrent(other))
      .flatMap(({ timelines }) => timelines.map(({ state }) => state.tokenIds));
  }

  requestCache(owner: string, requestId: string): RequestCache | undefined {
    return this.#requests.get(keyOf(owner, requestId));
  }

  /** Follows a request. Makes its session when there is none by that name. */
  begin(request: GenerationRequest, tokenIds: Uint32Array): Exchange {
    this.#sweep();
    const { owner = '', session: id, pinSeconds } = request.cache ?? {};
    const session = id === undefined ? undefined : (this.#sessions.get(keyOf(owner, id)) ?? this.#add(owner, id));
    if (session !== undefined) this.#touch(session);
    return new Exchange({
      request,
      tokenIds,
      identity: this.#parts.identity,
      session,
      now: this.#parts.now,
      onFound: (found) => this.#remember(owner, found),
      onFinish: (left) => this.#finish(session, left, pinSeconds),
    });
  }

  #finish(session: Session | undefined, left: TimelineState, pinSeconds = 0): void {
    const until = pinSeconds === 0 ? 0 : left.lastUsedAt + pinSeconds * 1000;
    if (session === undefined) {
      if (until > 0) this.#pinLoose(left, until);
      return;
    }
    // Deleted meanwhile: it stays deleted.
    if (!this.#has(session)) return;
    if (!this.isCurrent(session)) this.#renew(session);
    const timeline = this.#record(session, left);
    const longest = session.head.isPinned ? Number.POSITIVE_INFINITY : Math.max(until, this.#pins.until(timeline));
    if (longest > 0) this.#pins.set(timeline, left.tokenIds, longest);
    if (longest > 0 && Number.isFinite(longest)) timeline.state = { ...left, pinnedUntil: longest };
    this.#touch(session);
    this.#parts.store?.write(session);
    this.#makeRoom();
  }

  /** What another model's tokens were is of no use to this one. */
  #renew(session: Session): void {
    session.timelines.length = 0;
    session.head.identity = this.#parts.identity;
  }

  #record(session: Session, left: TimelineState): Timeline {
    const known = session.choose(left.tokenIds.subarray(0, left.numPromptTokens), left.outline);
    if (known !== undefined) {
      known.state = left;
      return known;
    }
    const timeline = new Timeline(left);
    // Its beginning may be others', who were no session; what it adds says itself that it is one's.
    this.#parts.chains.enliven(left.tokenIds);
    const leaving = session.add(timeline);
    if (leaving !== undefined) this.#pins.drop(leaving);
    return timeline;
  }

  /** A prompt without a session: its later turns take its pin's place. */
  #pinLoose(left: TimelineState, until: number): void {
    const known = chooseTimeline(this.#loose, left.tokenIds, left.outline);
    const timeline = known ?? new Timeline(left);
    timeline.state = left;
    if (known === undefined) this.#loose.push(timeline);
    this.#pins.set(timeline, left.tokenIds, Math.max(until, this.#pins.until(timeline)));
    if (this.#loose.length > MAX_LOOSE_PINS) this.#pins.drop(this.#loose.shift()!);
  }

  #retire(session: Session): void {
    for (const { state } of session.timelines) {
      this.#parts.chains.retire(state.tokenIds, this.sharedTokens(session, state.tokenIds));
    }
  }

  #pinAll({ timelines }: Session): void {
    for (const timeline of timelines) this.#pins.set(timeline, timeline.state.tokenIds, Number.POSITIVE_INFINITY);
  }

  /** What marks of an earlier process keep. */
  #pinMarked({ timelines }: Session): void {
    for (const timeline of timelines) {
      const { tokenIds, pinnedUntil = 0 } = timeline.state;
      if (pinnedUntil > this.#parts.now()) this.#pins.set(timeline, tokenIds, pinnedUntil);
    }
  }

  #remember(owner: string, found: RequestCache): void {
    this.#requests.set(keyOf(owner, found.requestId), found);
    const [oldest] = this.#requests.keys();
    if (this.#requests.size > MAX_REQUESTS && oldest !== undefined) this.#requests.delete(oldest);
  }

  #has(session: Session): boolean {
    return this.#sessions.get(keyOf(session.head.owner, session.head.id)) === session;
  }

  #touch(session: Session): void {
    const { head } = session;
    head.lastUsedAt = this.#parts.now();
    const key = keyOf(head.owner, head.id);
    if (this.#sessions.delete(key)) this.#sessions.set(key, session);
  }

  /** Undefined when all that may be kept are pinned. */
  #add(owner: string, id: string, parent?: string): Session | undefined {
    const { identity, limits, now } = this.#parts;
    if (this.#sessions.size >= limits.maxSessions && !this.#dropOldest()) return undefined;
    const counts = { requests: 0, promptTokens: 0, cachedTokens: 0 };
    const times = { createdAt: now(), lastUsedAt: now(), ttlSeconds: limits.ttlSeconds };
    const session = new Session({ owner, id, parent, ...times, isPinned: false, ...counts, identity, misses: [] });
    this.#sessions.set(keyOf(owner, id), session);
    return session;
  }

  #makeRoom(): void {
    const numTokens = ({ timelines }: Session): number =>
      timelines.reduce((sum, { state }) => sum + state.tokenIds.length, 0);
    let total = 0;
    for (const session of this.#sessions.values()) total += numTokens(session);
    for (const session of [...this.#sessions.values()]) {
      if (total <= this.#parts.limits.maxTokens) return;
      if (session.head.isPinned) continue;
      total -= numTokens(session);
      void this.remove(session);
    }
  }

  #dropOldest(): boolean {
    const oldest = [...this.#sessions.values()].find(({ head }) => !head.isPinned);
    if (oldest === undefined) return false;
    void this.remove(oldest);
    return true;
  }

  #sweep(): void {
    const now = this.#parts.now();
    this.#pins.sweep(now);
    for (let index = this.#loose.length - 1; index >= 0; index--) {
      if (this.#pins.until(this.#loose[index]!) === 0) this.#loose.splice(index, 1);
    }
    for (const session of [...this.#sessions.values()]) if (session.isExpired(now)) void this.remove(session);
  }
}

const keyOf = (owner: string, name: string): string => `${owner}\0${name}`;
