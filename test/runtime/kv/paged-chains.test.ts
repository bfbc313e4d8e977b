import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { CacheHints } from '../../../src/runtime/api.ts';
import { ask, startEngine } from '../../support/engine.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const SCRIPT = { replies: [{ tokens: ['1', ',', ' ', '2', ',', ' ', '3'] }] };
const LONG = 'x'.repeat(200);
const cache: CacheHints = { owner: 'me', session: 'talk' };
const startOf = (events: Awaited<ReturnType<typeof ask>>) => events.find((event) => event.type === 'start')!;

describe("a session's KV", () => {
  test('is located in the pool, and below it once it is saved', async () => {
    const engine = await startEngine(SCRIPT, { store: new MemoryStore() });
    const { promptTokens } = startOf(await ask(engine, LONG, { cache }));
    const ramTokens = async () => (await engine.sessions.get('me', 'talk')).tokensByTier.ram;
    while ((await ramTokens()) < promptTokens + 7) await sleep(5);
    const { tokens, tokensByTier, bytesByTier, savedTokens } = await engine.sessions.get('me', 'talk');
    expect(tokens).toBeGreaterThanOrEqual(promptTokens + 7);
    expect(tokensByTier).toEqual({ pool: promptTokens + 7, ram: promptTokens + 7, disk: 0 });
    const bytes = Math.ceil((promptTokens + 7) / 16) * 64;
    expect(bytesByTier).toEqual({ pool: bytes, ram: bytes, disk: 0 });
    expect(savedTokens).toBe(0);
  });

  test('moves to another engine in a file, and spares it the prefill', async () => {
    const [from, to] = [
      await startEngine(SCRIPT, { store: new MemoryStore() }),
      await startEngine(SCRIPT, { store: new MemoryStore() }),
    ];
    await ask(from, LONG, { cache });
    await to.sessions.import('me', await from.sessions.export('me', 'talk'), {});
    const start = startOf(await ask(to, LONG, { cache }));
    expect(start.cache).toMatchObject({ found: { ram: start.promptTokens - 1 }, computed: 1 });
  });

  test('is read from the pool where there is no store, and has no place in another engine without one', async () => {
    const [from, to] = [await startEngine(SCRIPT), await startEngine(SCRIPT)];
    await ask(from, LONG, { cache });
    const archive = await from.sessions.export('me', 'talk');
    expect(archive.byteLength).toBeGreaterThan(13 * 64);
    await expect(to.sessions.import('me', archive, {})).rejects.toThrow(/no place here/);
  });

  test('stays in a pool that others fill while it is pinned, and may go after', async () => {
    const engine = await startEngine(SCRIPT, { numBlocks: 40 });
    await ask(engine, LONG, { cache });
    await engine.sessions.pin('me', 'talk');
    for (let other = 0; other < 12; other++) await ask(engine, `${other}${'y'.repeat(150)}`);
    expect(startOf(await ask(engine, LONG, { cache })).cache?.computed).toBe(1);
    await engine.sessions.unpin('me', 'talk');
    for (let other = 0; other < 200; other++) await ask(engine, `${other}${'z'.repeat(150)}`);
    expect(startOf(await ask(engine, LONG, { cache })).cachedTokens).toBeLessThan(190);
  });
});
