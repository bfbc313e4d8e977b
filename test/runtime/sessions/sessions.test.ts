/** Sessions over a cache of plain entries: what they list, keep, pin, share and refuse. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IDENTITY, joined, run, testSessions, tokens } from '../../support/sessions.ts';

const PAGE = { limit: 100 };

describe('a session', () => {
  test('is made by its first request, and lists its tokens, where they are, and how often they were found', async () => {
    const { sessions, exchange } = testSessions();
    exchange({ session: 's' }, run(0, 20), run(100, 4));
    exchange({ session: 's' }, joined(run(0, 20), run(100, 4), run(200, 8)), run(300, 4));
    const [listed, ...others] = await sessions.list('ann', PAGE);
    expect(others).toEqual([]);
    expect(listed).toMatchObject({
      id: 's',
      timelines: 1,
      tokens: 36,
      savedTokens: 0,
      tokensByTier: { pool: 36, ram: 36, disk: 0 },
      bytesByTier: { pool: 72, ram: 72, disk: 0 },
      requests: 2,
      promptTokens: 52,
      cachedTokens: 24,
      isPinned: false,
    });
    expect(await sessions.get('ann', 's')).toMatchObject({ ...listed, misses: [{ cause: 'new_session' }] });
  });

  test('is its owner\u2019s alone', async () => {
    const { sessions, exchange } = testSessions();
    exchange({ session: 's', owner: 'ann' }, run(0, 8), run(100, 4), { id: 'request' });
    expect(await sessions.list('bob', PAGE)).toEqual([]);
    const refusal = { code: 'not_found', details: { reason: 'session_not_found' } };
    for (const call of ['get', 'save', 'pin', 'unpin', 'evict', 'delete', 'export'] as const)
      await expect(sessions[call]('bob', 's')).rejects.toMatchObject(refusal);
    await expect(sessions.fork('bob', 's', { id: 'mine' })).rejects.toMatchObject(refusal);
    await sessions.create('bob', { id: 's' });
    expect((await sessions.get('ann', 's')).requests).toBe(1);
    expect(await sessions.requestCache('bob', 'request')).toBeUndefined();
    expect(await sessions.requestCache('ann', 'request')).toMatchObject({ promptTokens: 8, session: 's' });
  });

  test('is forked at no cost, and neither disturbs the other', async () => {
    const { sessions, exchange, chains } = testSessions();
    exchange({ session: 's' }, run(0, 20), run(100, 4));
    const numBlocks = chains.blocks.size;
    expect(await sessions.fork('ann', 's', { id: 'sub' })).toMatchObject({ id: 'sub', parent: 's', tokens: 24 });
    expect(chains.blocks.size).toBe(numBlocks);
    const report = exchange({ session: 'sub' }, joined(run(0, 20), run(100, 4), run(500, 8)), run(600, 4));
    expect(report).toMatchObject({ found: { pool: 24 }, computed: 8, reason: 'none' });
    expect((await sessions.get('ann', 's')).tokens).toBe(24);
    await sessions.delete('ann', 'sub');
    // What the parent shares stays.
    expect((await sessions.get('ann', 's')).tokensByTier).toEqual({ pool: 24, ram: 24, disk: 0 });
    await expect(sessions.fork('ann', 's', { id: 's' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('keeps its KV in the tiers longer while it goes on, and no longer once it ended', async () => {
    const { sessions, exchange, chains, clock } = testSessions();
    const live = (...parts: Uint32Array[]) => chains.live.get(joined(...parts).join());
    exchange({}, run(0, 20), run(100, 4));
    expect(live(run(0, 20), run(100, 4))).toBeUndefined();
    exchange({ session: 'short' }, run(0, 20), run(200, 4));
    expect(live(run(0, 20), run(200, 4))).toBe(true);
    clock.now += 8 * 24 * 3600 * 1000;
    expect(await sessions.list('ann', PAGE)).toEqual([]);
    expect(live(run(0, 20), run(200, 4))).toBe(false);
  });

  test('of a user keeps its conversations apart', async () => {
    const { sessions, exchange } = testSessions();
    const chat = (content: string) =>
      ({ kind: 'chat', messages: [{ role: 'user', content }], continueFinalMessage: false }) as const;
    exchange({ session: 'user:ann' }, joined(run(0, 30), tokens(900)), run(100, 4), { chat: chat('one') });
    exchange({ session: 'user:ann' }, joined(run(0, 30), tokens(901)), run(200, 4), { chat: chat('two') });
    expect(await sessions.get('ann', 'user:ann')).toMatchObject({
      timelines: 2,
      tokens: 70,
      misses: [{ cause: 'new_conversation' }, { cause: 'new_session' }],
    });
    // Under a name of its own, a conversation is one, whatever it says.
    exchange({ session: 's' }, run(0, 30), run(100, 4), { chat: chat('one') });
    exchange({ session: 's' }, run(500, 30), run(100, 4), { chat: chat('two') });
    expect((await sessions.get('ann', 's')).timelines).toBe(1);
  });

  test('that is deleted while it answers stays deleted', async () => {
    const { sessions } = testSessions();
    const exchange = sessions.begin(
      {
        id: 'r',
        prompt: { kind: 'tokens', tokenIds: [1, 2] },
        stop: [],
        sampling: {} as never,
        cache: { owner: 'ann', session: 's' },
      },
      tokens(1, 2),
    );
    await sessions.delete('ann', 's');
    exchange.finish(tokens(1, 2, 3), false);
    expect(await sessions.list('ann', PAGE)).toEqual([]);
  });

  test('is listed the last used first, in pages', async () => {
    const { sessions, exchange } = testSessions();
    for (const session of ['a', 'b', 'c', 'a']) exchange({ session }, run(0, 8), run(100, 4));
    const ids = async (page: { limit: number; after?: string }) =>
      (await sessions.list('ann', page)).map(({ id }) => id);
    expect(await ids(PAGE)).toEqual(['a', 'c', 'b']);
    expect(await ids({ limit: 2 })).toEqual(['a', 'c']);
    expect(await ids({ limit: 2, after: 'c' })).toEqual(['b']);
  });
});

describe('sessions that are too many', () => {
  test('go the least recently used first, and the pinned ones not at all', async () => {
    const { sessions, exchange } = testSessions({ limits: { maxSessions: 2 } });
    exchange({ session: 'a' }, run(0, 8), run(100, 4));
    await sessions.pin('ann', 'a');
    for (const session of ['b', 'c']) exchange({ session }, run(0, 8), run(100, 4));
    expect((await sessions.list('ann', PAGE)).map(({ id }) => id)).toEqual(['c', 'a']);
    await sessions.pin('ann', 'c');
    await expect(sessions.create('ann', { id: 'd' })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('2 sessions'),
    });
    // A request is answered all the same.
    expect(exchange({ session: 'd' }, run(0, 8), run(100, 4)).reason).toBe('none');
  });

  test('keep the sum of their tokens below the limit', async () => {
    const { sessions, exchange } = testSessions({ limits: { maxTokens: 60 } });
    for (const session of ['a', 'b', 'c']) exchange({ session }, run(0, 20), run(100, 4));
    expect((await sessions.list('ann', PAGE)).map(({ id }) => id)).toEqual(['c', 'b']);
  });

  test('go when their time is over, but not while they are pinned', async () => {
    const { sessions, exchange, clock } = testSessions({ limits: { ttlSeconds: 60 } });
    exchange({ session: 'a' }, run(0, 8), run(100, 4));
    await sessions.create('ann', { id: 'b', ttlSeconds: 600 });
    await sessions.create('ann', { id: 'c', isPinned: true });
    clock.now += 61_000;
    expect((await sessions.list('ann', PAGE)).map(({ id }) => id)).toEqual(['c', 'b']);
    await sessions.unpin('ann', 'c');
    clock.now += 61_000;
    expect((await sessions.list('ann', PAGE)).map(({ id }) => id)).toEqual(['b']);
    // A clock that is set back ends nothing.
    clock.now -= 10_000_000;
    expect(await sessions.list('ann', PAGE)).toHaveLength(1);
  });
});

describe('what is pinned', () => {
  test('follows the session as it goes on, and ends with it', async () => {
    const { sessions, exchange, chains } = testSessions();
    exchange({ session: 's' }, run(0, 8), run(100, 4));
    expect(await sessions.pin('ann', 's')).toMatchObject({ isPinned: true });
    exchange({ session: 's' }, joined(run(0, 8), run(100, 4), run(200, 4)), run(300, 4));
    expect(chains.pinned.map(({ length }) => length)).toEqual([20]);
    await sessions.unpin('ann', 's');
    expect(chains.pinned).toEqual([]);
    await sessions.pin('ann', 's');
    await sessions.delete('ann', 's');
    expect(chains.pinned).toEqual([]);
  });

  test('by a mark of its request is so for the mark\u2019s time, with a session and without', async () => {
    const { sessions, exchange, chains, clock } = testSessions();
    exchange({ session: 's', pinSeconds: 300 }, run(0, 8), run(100, 4));
    exchange({ pinSeconds: 3600 }, run(50, 8), run(150, 4));
    expect(chains.pinned).toHaveLength(2);
    expect((await sessions.get('ann', 's')).pinnedUntil).toBe(1_300_000);
    clock.now += 300_000;
    expect((await sessions.get('ann', 's')).pinnedUntil).toBeUndefined();
    expect(chains.pinned).toHaveLength(1);
    // The same prompt again, longer: one pin.
    exchange({ pinSeconds: 3600 }, joined(run(50, 8), run(150, 4), run(160, 4)), run(170, 4));
    expect(chains.pinned.map(({ length }) => length)).toEqual([20]);
    clock.now += 3_600_000;
    await sessions.list('ann', PAGE);
    expect(chains.pinned).toEqual([]);
  });

  test('is never more than what sessions and marks say, whatever happens', async () => {
    const name = fc.constantFrom('a', 'b', 'user:c');
    const action = fc.oneof(
      fc.record({ do: fc.constant('ask' as const), name, pinSeconds: fc.constantFrom(0, 5, 60) }),
      fc.record({ do: fc.constantFrom('pin' as const, 'unpin' as const, 'delete' as const), name }),
      fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(1, 10, 100) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const { sessions, exchange, chains, clock } = testSessions({ limits: { maxSessions: 2, ttlSeconds: 90 } });
        for (const [index, action] of actions.entries()) {
          if (action.do === 'wait') clock.now += action.seconds * 1000;
          else if (action.do === 'ask') {
            const pin = action.pinSeconds > 0 ? { pinSeconds: action.pinSeconds } : {};
            exchange({ session: action.name, ...pin }, run(index * 100, 8), run(50, 4));
          } else await sessions[action.do]('ann', action.name).catch(() => {});
        }
        clock.now += 1_000_000;
        const left = await sessions.list('ann', PAGE);
        expect(left.every(({ isPinned }) => isPinned)).toBe(true);
        expect(chains.pinned).toHaveLength(left.reduce((sum, { timelines }) => sum + timelines, 0));
        for (const { id } of left) await sessions.delete('ann', id);
        expect(chains.pinned).toEqual([]);
      }),
    );
  });
});

describe('an exported session', () => {
  const exported = async () => {
    const { sessions, exchange } = testSessions();
    exchange({ session: 's' }, run(0, 20), run(100, 5));
    return sessions.export('ann', 's');
  };

  test('is the same session elsewhere', async () => {
    const file = await exported();
    const { sessions, exchange } = testSessions();
    expect(await sessions.import('bob', file, {})).toMatchObject({
      id: 's',
      tokens: 25,
      tokensByTier: { pool: 0, ram: 25, disk: 0 },
    });
    expect(await sessions.import('bob', file, { id: 'again' })).toMatchObject({ id: 'again' });
    await expect(sessions.import('bob', file, {})).rejects.toMatchObject({ code: 'conflict' });
    const next = joined(run(0, 20), run(100, 5), run(200, 3));
    expect(exchange({ owner: 'bob', session: 's' }, next, run(1, 1), { numFound: 24 }).reason).toBe('none');
    expect(Buffer.from(file).includes('ann')).toBe(false);
  });

  test('is refused by another model, another KV format, and a smaller context', async () => {
    const file = await exported();
    const importInto = (parts: Parameters<typeof testSessions>[0]) =>
      testSessions(parts).sessions.import('bob', file, {});
    await expect(importInto({ identity: { ...IDENTITY, modelFingerprint: 'other' } })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/another model \(model\).*other/),
    });
    await expect(importInto({ identity: { ...IDENTITY, kvFormat: 'q8' } })).rejects.toMatchObject({
      message: expect.stringMatching(/format f16.*q8/),
    });
    await expect(importInto({ contextLength: 24 })).rejects.toMatchObject({ message: expect.stringContaining('24') });
    await expect(importInto({ vocabularySize: 50 })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('is refused when any byte is wrong, or any is missing', async () => {
    const file = await exported();
    const { sessions } = testSessions();
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (index, change) => {
        const changed = Uint8Array.from(file);
        changed[index]! ^= change;
        for (const bad of [changed, file.subarray(0, index)])
          await expect(sessions.import('bob', bad, {})).rejects.toMatchObject({ code: 'invalid_request' });
      }),
      { numRuns: 50 },
    );
    expect(await sessions.list('bob', PAGE)).toEqual([]);
  });

  test('needs KV to export', async () => {
    const { sessions, exchange, chains } = testSessions();
    await sessions.create('ann', { id: 's' });
    await expect(sessions.export('ann', 's')).rejects.toMatchObject({ details: { reason: 'session_empty' } });
    exchange({ session: 's' }, run(0, 20), run(100, 5));
    chains.blocks.clear();
    await expect(sessions.export('ann', 's')).rejects.toMatchObject({ details: { reason: 'session_evicted' } });
  });
});

test('a server without a cache directory cannot save, and says what to do', async () => {
  const { sessions, exchange } = testSessions();
  exchange({ session: 's' }, run(0, 20), run(100, 5));
  await expect(sessions.save('ann', 's')).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('cache directory'),
  });
});
