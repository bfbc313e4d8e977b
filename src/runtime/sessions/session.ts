/** A named conversation, or several under the name of a user. */
import type { CacheMissCause } from '../api.ts';
import type { KvIdentity } from './cache-miss.ts';
import type { Outline } from './outline.ts';
import { chooseTimeline, type Timeline } from './timeline.ts';

/** A miss with the tokens around it: they become text only when the owner asks. */
export interface SessionMiss {
  readonly requestId: string;
  readonly at: number;
  readonly tokenIndex: number;
  readonly lostTokens: number;
  readonly cause: CacheMissCause;
  readonly oldTokenIds: readonly number[];
  readonly newTokenIds: readonly number[];
}

/** What is kept of a session beside its conversations. Times are Unix milliseconds. */
export interface SessionHead {
  readonly owner: string;
  readonly id: string;
  readonly parent?: string | undefined;
  readonly createdAt: number;
  lastUsedAt: number;
  ttlSeconds: number;
  isPinned: boolean;
  requests: number;
  promptTokens: number;
  cachedTokens: number;
  /** What the conversations' KV belongs to. */
  identity: KvIdentity;
  /** Oldest first. */
  misses: SessionMiss[];
}

const MAX_MISSES = 8;
/** Of one user at once; the least recently used one is forgotten. */
const MAX_TIMELINES = 16;
/** Names of users and cache keys rather than of conversations. */
const SCOPE = /^(user|key):/;

export class Session {
  readonly head: SessionHead;
  readonly timelines: Timeline[];

  constructor(head: SessionHead, timelines: Timeline[] = []) {
    this.head = head;
    this.timelines = timelines;
  }

  get isScope(): boolean {
    return SCOPE.test(this.head.id);
  }

  /** The conversation that a prompt goes on with; a session that is one conversation has no other. */
  choose(tokenIds: Uint32Array, outline: Outline | undefined): Timeline | undefined {
    return this.isScope ? chooseTimeline(this.timelines, tokenIds, outline) : this.timelines[0];
  }

  /** The conversation that was last used. */
  get latest(): Timeline | undefined {
    return this.timelines.reduce<Timeline | undefined>(
      (latest, timeline) => (latest && latest.state.lastUsedAt > timeline.state.lastUsedAt ? latest : timeline),
      undefined,
    );
  }

  /** Adds a conversation. @returns one that has to go for it */
  add(timeline: Timeline): Timeline | undefined {
    this.timelines.push(timeline);
    if (this.timelines.length <= MAX_TIMELINES) return undefined;
    const oldest = this.timelines.reduce((old, other) => (other.state.lastUsedAt < old.state.lastUsedAt ? other : old));
    this.timelines.splice(this.timelines.indexOf(oldest), 1);
    return oldest;
  }

  note(miss: SessionMiss): void {
    this.head.misses.push(miss);
    if (this.head.misses.length > MAX_MISSES) this.head.misses.shift();
  }

  isExpired(now: number): boolean {
    return !this.head.isPinned && now - this.head.lastUsedAt > this.head.ttlSeconds * 1000;
  }
}
