/** One request on its way through the cache: what was found for its prompt, why not more, and what it leaves behind. */
import type { CacheReport, GenerationRequest, RequestCache } from '../api.ts';
import { type Explanation, explainMiss, type KvIdentity } from './cache-miss.ts';
import { outlineOf } from './outline.ts';
import type { Session, SessionMiss } from './session.ts';
import type { TimelineState } from './timeline.ts';

export interface ExchangeParts {
  readonly request: GenerationRequest;
  readonly tokenIds: Uint32Array;
  readonly identity: KvIdentity;
  /** Absent: the request belongs to none. */
  readonly session: Session | undefined;
  readonly now: () => number;
  readonly onFound: (found: RequestCache) => void;
  readonly onFinish: (left: TimelineState) => void;
}

/** Tokens of a miss that are kept, before and from the difference on. */
const TOKENS_BEFORE = 4;
const TOKENS_AFTER = 12;

export class Exchange {
  /** Undefined until the prompt was looked up. */
  report: CacheReport | undefined;
  readonly #parts: ExchangeParts;
  readonly #outline: ReturnType<typeof outlineOf>;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#outline = parts.session === undefined ? undefined : outlineOf(parts.request.prompt);
  }

  /** Says where the prompt's KV was when the sequence first ran; what the session knows of the reason is added. Once. */
  found(report: CacheReport): void {
    const { request, tokenIds, session, onFound } = this.#parts;
    const { reason, miss } = session === undefined ? { ...report, miss: undefined } : this.#explain(session, report);
    this.report = { ...report, reason };
    if (session !== undefined) {
      session.head.requests++;
      session.head.promptTokens += tokenIds.length;
      session.head.cachedTokens += tokenIds.length - report.computed;
    }
    onFound({
      requestId: request.id,
      promptTokens: tokenIds.length,
      report: this.report,
      ...(session === undefined ? {} : { session: session.head.id }),
      ...(miss === undefined ? {} : { cause: miss.cause }),
    });
  }

  /** @param tokenIds prompt and answer, copied */
  finish(tokenIds: Uint32Array, answerReasons: boolean): void {
    const { tokenIds: prompt, now, onFinish } = this.#parts;
    onFinish({
      tokenIds: tokenIds.slice(),
      numPromptTokens: prompt.length,
      answerReasons,
      lastUsedAt: now(),
      ...(this.#outline === undefined ? {} : { outline: this.#outline }),
    });
  }

  #explain(session: Session, report: CacheReport): Explanation {
    const { tokenIds, identity } = this.#parts;
    const earlier = session.choose(tokenIds, this.#outline)?.state;
    const explanation = explainMiss({
      tokenIds,
      outline: this.#outline,
      report,
      earlier,
      identities: { earlier: session.head.identity, current: identity },
      hasOthers: session.timelines.length > 0,
    });
    if (explanation.miss !== undefined) session.note(this.#missOf(explanation.miss, earlier));
    return explanation;
  }

  #missOf(miss: NonNullable<Explanation['miss']>, earlier: TimelineState | undefined): SessionMiss {
    const { request, tokenIds, now } = this.#parts;
    // Only a change has two texts to compare, and only the same model's tokens have a text.
    const isComparable = earlier !== undefined && !/^(evicted|other_)/.test(miss.cause);
    const around = (tokens: Uint32Array): number[] =>
      isComparable
        ? [...tokens.subarray(Math.max(0, miss.tokenIndex - TOKENS_BEFORE), miss.tokenIndex + TOKENS_AFTER)]
        : [];
    return {
      ...miss,
      requestId: request.id,
      at: now(),
      oldTokenIds: around(earlier?.tokenIds ?? new Uint32Array()),
      newTokenIds: around(tokenIds),
    };
  }
}
