/** The coordination sessions of all owners, bounded, each for as long as it is used. In memory alone. */
import { EngineError } from '../../runtime/errors.ts';
import type { CoordinationSession } from './session.ts';

const MAX_SESSIONS = 256;
const MAX_SESSIONS_PER_OWNER = 128;

export class SessionList {
  readonly #sessions = new Map<string, CoordinationSession>();

  /** @throws EngineError overloaded */
  add(session: CoordinationSession): void {
    this.#expire();
    const numOwned = this.of(session.settings.owner).length;
    if (numOwned >= MAX_SESSIONS_PER_OWNER || this.#sessions.size >= MAX_SESSIONS) {
      throw new EngineError(
        'overloaded',
        `there are ${this.#sessions.size} coordination sessions of at most ${MAX_SESSIONS}, ${numOwned} of them yours ` +
          `of at most ${MAX_SESSIONS_PER_OWNER}: delete one, or wait until one expires`,
      );
    }
    this.#sessions.set(session.id, session);
  }

  /** @throws EngineError not_found, as well for another owner's session */
  get(owner: string, id: string): CoordinationSession {
    this.#expire();
    const session = this.#sessions.get(id);
    if (session === undefined || session.settings.owner !== owner) {
      throw new EngineError('not_found', `there is no coordination session '${id}': it was deleted, or has expired`, {
        reason: 'session_not_found',
      });
    }
    session.lastUsedMs = performance.now();
    return session;
  }

  /** Oldest first. */
  of(owner: string): readonly CoordinationSession[] {
    this.#expire();
    return [...this.#sessions.values()].filter(({ settings }) => settings.owner === owner);
  }

  /** What runs in it stops. */
  delete(session: CoordinationSession): void {
    this.#sessions.delete(session.id);
    session.delete();
  }

  #expire(): void {
    const nowMs = performance.now();
    for (const [id, session] of this.#sessions) {
      const isStale = nowMs - session.lastUsedMs > session.settings.ttlSeconds * 1000;
      if (isStale && !session.isInUse) this.#sessions.delete(id);
    }
  }
}
