/** Sessions without an engine: requests are two lists of tokens, and time is what a test says. */
import type { CacheHints, CacheReport, Prompt } from '../../src/runtime/api.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { EngineSessions, type EngineSessionsParts } from '../../src/runtime/sessions/engine-sessions.ts';
import { MemoryChains } from './memory-chains.ts';

export const tokens = (...numbers: number[]): Uint32Array => Uint32Array.from(numbers);
/** `length` tokens from `first` on, one more each. */
export const run = (first: number, length: number): Uint32Array => Uint32Array.from({ length }, (_, i) => first + i);
export const joined = (...parts: Uint32Array[]): Uint32Array => Uint32Array.from(parts.flatMap((part) => [...part]));

export const IDENTITY = { modelFingerprint: 'model', kvFormat: 'f16' };

export interface TestSessions {
  readonly sessions: EngineSessions;
  readonly chains: MemoryChains;
  readonly clock: { now: number };
  /** A whole exchange: prompt in, answer out. The cache has found what `numFound` says: by default all it computed. */
  exchange(
    hints: Partial<CacheHints>,
    prompt: Uint32Array,
    answer: Uint32Array,
    more?: {
      readonly numFound?: number;
      readonly chat?: Prompt;
      readonly answerReasons?: boolean;
      readonly id?: string;
    },
  ): CacheReport;
}

let nextRequest = 0;

export const testSessions = (parts: Partial<EngineSessionsParts> = {}): TestSessions => {
  const chains = parts.chains instanceof MemoryChains ? parts.chains : new MemoryChains();
  const clock = { now: 1_000_000 };
  const sessions = new EngineSessions({
    identity: IDENTITY,
    decode: async (tokenIds) => tokenIds.join(' '),
    vocabularySize: 100_000,
    contextLength: 10_000,
    now: () => clock.now,
    ...parts,
    chains,
  });
  return {
    sessions,
    chains,
    clock,
    exchange(hints, prompt, answer, { numFound, chat, answerReasons = false, id = `r${nextRequest++}` } = {}) {
      const exchange = sessions.begin(
        {
          id,
          prompt: chat ?? { kind: 'tokens', tokenIds: [...prompt] },
          stop: [],
          sampling: DEFAULT_SAMPLING,
          cache: { owner: 'ann', ...hints },
        },
        prompt,
      );
      const pool = numFound ?? Math.min(prompt.length - 1, chains.locate(prompt).tokensByTier.pool);
      const computed = prompt.length - pool;
      exchange.found({ found: { pool, ram: 0, disk: 0 }, computed, reason: computed <= 1 ? 'none' : 'new' });
      const whole = joined(prompt, answer);
      chains.compute(whole);
      exchange.finish(whole, answerReasons);
      clock.now += 1000;
      return exchange.report!;
    },
  };
};
