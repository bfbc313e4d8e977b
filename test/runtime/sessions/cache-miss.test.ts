/** Why KV was missing: what the cache found, beside what the conversation had. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explainMiss, type Lookup } from '../../../src/runtime/sessions/cache-miss.ts';
import { IDENTITY, joined, run } from '../../support/sessions.ts';

const EARLIER = { tokenIds: run(0, 200), numPromptTokens: 180, answerReasons: false, lastUsedAt: 0 };

const explain = (tokenIds: Uint32Array, numFound: number, more: Partial<Lookup> = {}) =>
  explainMiss({
    tokenIds,
    outline: undefined,
    report: {
      found: { pool: numFound, ram: 0, disk: 0 },
      computed: tokenIds.length - numFound,
      reason: 'new',
    },
    earlier: EARLIER,
    identities: { earlier: IDENTITY, current: IDENTITY },
    hasOthers: false,
    ...more,
  });

test('nothing is missed when all that can be shared was found', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 15 }), (length, lost) => {
      // A longer prompt, or one that ends within the earlier one; but for the rest of a block.
      const prompt = run(0, length);
      const shared = Math.min(length - 1, EARLIER.tokenIds.length - 1);
      expect(explain(prompt, Math.max(0, shared - lost))).toEqual({ reason: 'none' });
    }),
  );
});

test('what was there and is gone was evicted, from the first token that is gone', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 183 }), (numFound) => {
      expect(explain(run(0, 300), numFound)).toEqual({
        reason: 'evicted',
        miss: { cause: 'evicted', tokenIndex: numFound, lostTokens: 199 - numFound },
      });
    }),
  );
});

test('a change is told from an eviction by how much of the same beginning was found', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 180 }), fc.integer({ min: 0, max: 180 }), (common, numFound) => {
      fc.pre(numFound <= common);
      const prompt = joined(run(0, common), run(1000, 300));
      const { reason, miss } = explain(prompt, numFound);
      if (common - numFound >= 16) expect([reason, miss?.tokenIndex]).toEqual(['evicted', numFound]);
      else expect([reason, miss?.tokenIndex, miss?.cause]).toEqual(['changed', common, 'prompt_changed']);
      expect(miss?.lostTokens).toBe(199 - numFound);
    }),
  );
});

test('another model or KV format explains all of it, and a first prompt is new', () => {
  const identities = { earlier: IDENTITY, current: { ...IDENTITY, modelFingerprint: 'other', kvFormat: 'q8' } };
  expect(explain(run(0, 300), 0, { identities }).miss?.cause).toBe('other_model');
  const formats = { earlier: IDENTITY, current: { ...IDENTITY, kvFormat: 'q8' } };
  expect(explain(run(0, 300), 0, { identities: formats }).miss?.cause).toBe('other_kv_format');
  expect(explain(run(0, 300), 48, { earlier: undefined })).toEqual({
    reason: 'new',
    miss: { cause: 'new_session', tokenIndex: 0, lostTokens: 251 },
  });
  expect(explain(run(0, 300), 0, { earlier: undefined, hasOthers: true }).miss?.cause).toBe('new_conversation');
  expect(explain(run(0, 300), 299, { earlier: undefined })).toEqual({ reason: 'none' });
});
