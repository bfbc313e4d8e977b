import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { ask, generate, startEngine, textOf } from '../support/engine.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { until } from '../support/until.ts';

const COUNT = { tokens: ['1', ',', ' ', '2', ',', ' ', '3'] };
const LONG = 'x'.repeat(200);

const startOf = (events: Awaited<ReturnType<typeof ask>>) => events.find((event) => event.type === 'start')!;

describe('an engine with a store', () => {
  test('saves what it computed, and finds it after a restart', async () => {
    const store = new MemoryStore();
    const before = await startEngine({ replies: [COUNT] }, { store });
    expect(textOf(await ask(before, LONG))).toBe('1, 2, 3');
    await before.close();
    const after = await startEngine({ replies: [COUNT] }, { store });
    const events = await ask(after, LONG);
    const start = startOf(events);
    expect(textOf(events)).toBe('1, 2, 3');
    expect(start.cachedTokens).toBe(start.promptTokens - 1);
    expect(start.cache).toMatchObject({ found: { pool: 0, ram: start.promptTokens - 1, disk: 0 }, computed: 1 });
  });

  test('saves within moments of the end of an answer, while the engine is idle', async () => {
    const store = new MemoryStore();
    const engine = await startEngine({ replies: [COUNT] }, { store });
    const events = await ask(engine, LONG);
    const { promptTokens } = startOf(events);
    await until(() => store.blocks.size === Math.ceil((promptTokens + 7) / 16));
  });

  test('lets others talk while one waits for the store', async () => {
    const store = new MemoryStore();
    const before = await startEngine({ replies: [COUNT] }, { store });
    await ask(before, LONG);
    await before.close();
    const engine = await startEngine({ replies: [COUNT] }, { store });
    let release: () => void = () => {};
    store.beforeRead = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const waiting = ask(engine, LONG);
    expect(textOf(await ask(engine, 'other'))).toBe('1, 2, 3');
    expect(engine.stats().running).toBe(1);
    release();
    expect(textOf(await waiting)).toBe('1, 2, 3');
  });

  test('computes what the store has lost, or kept in another size', async () => {
    const store = new MemoryStore();
    const before = await startEngine({ replies: [COUNT] }, { store });
    await ask(before, LONG);
    await before.close();
    const [third, fifth] = [[...store.blocks.keys()][2]!, [...store.blocks.keys()][4]!];
    store.blocks.set(fifth, { ...store.blocks.get(fifth)!, payload: new Uint8Array(3) });
    const engine = await startEngine({ replies: [COUNT] }, { store });
    store.beforeRead = async () => void store.blocks.delete(third);
    const events = await ask(engine, LONG);
    expect(textOf(events)).toBe('1, 2, 3');
    expect(startOf(events).cachedTokens).toBe(32);
  });

  test('computes what it could not read or write for a reason that nobody foresaw', async () => {
    const store = new MemoryStore();
    const before = await startEngine({ replies: [COUNT] }, { store });
    await ask(before, LONG);
    await before.close();
    const engine = await startEngine({ replies: [COUNT] }, { store });
    store.beforeRead = () => Promise.reject(new TypeError('a detached buffer'));
    const events = await ask(engine, LONG);
    expect(textOf(events)).toBe('1, 2, 3');
    expect(startOf(events).cachedTokens).toBe(0);
  });

  test('forgets a wait whose client has left', async () => {
    const store = new MemoryStore();
    const before = await startEngine({ replies: [COUNT] }, { store });
    await ask(before, LONG);
    await before.close();
    const engine = await startEngine({ replies: [COUNT] }, { store });
    let release: () => void = () => {};
    store.beforeRead = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const abort = new AbortController();
    await generate(engine, LONG, {}, abort.signal);
    await until(() => engine.stats().running === 1);
    abort.abort();
    release();
    await until(() => engine.stats().kvBlocksUsed === 0);
    store.beforeRead = async () => {};
    expect(textOf(await ask(engine, LONG))).toBe('1, 2, 3');
  });
});

describe('the embedded model', () => {
  test('says the same after its KV went through the store', async () => {
    const model = join(import.meta.dirname, '../../models/embedded/firstlight-tiny.gguf');
    const store = new MemoryStore();
    const messages = 'My name is Ada. '.repeat(12);
    const run = async () => {
      const engine = await createEngine({ model, kvFormat: 'f32' }, { store });
      const events = await ask(engine, messages, { maxTokens: 24 });
      await engine.close();
      return { text: textOf(events), ...startOf(events) };
    };
    const [cold, warm] = [await run(), await run()];
    expect(warm.text).toBe(cold.text);
    expect([cold.cachedTokens, warm.cachedTokens]).toEqual([0, warm.promptTokens - 1]);
  });
});
