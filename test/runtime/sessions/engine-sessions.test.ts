/** Sessions of a real engine whose forward pass alone is a script. */
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CacheHints, ChatMessage, Engine, GenerationEvent, Prompt } from '../../../src/runtime/api.ts';
import { EngineClient } from '../../../src/runtime/engine-client.ts';
import { serveEngine } from '../../../src/runtime/engine-thread.ts';
import { collect, gate, generate, startEngine } from '../../support/engine.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const SCRIPT = {
  contextLength: 2048,
  reasoningFormat: 'think',
  replies: [
    { when: 'ponder', tokens: ['<think>', ...'a long thought about it', '</think>', 'Done'] },
    { tokens: ['Fi', 'ne'] },
  ],
};

const overPort = async (): Promise<Engine> => {
  const engine = await startEngine(SCRIPT);
  const { port1, port2 } = new MessageChannel();
  const connecting = EngineClient.connect(port1);
  serveEngine(engine, port2);
  const client = await connecting;
  onTestFinished(() => client.close());
  return client;
};

const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const system = (content: string): ChatMessage => ({ role: 'system', content });
const chat = (...messages: ChatMessage[]): Prompt => ({ kind: 'chat', messages, continueFinalMessage: false });

const ask = async (
  engine: Engine,
  prompt: Prompt,
  hints: Partial<CacheHints> = {},
  id = 'r',
): Promise<GenerationEvent[]> => {
  const cache = { owner: 'ann', session: 's', ...hints };
  return collect(await generate(engine, prompt, { id, cache }));
};

describe.each([
  ['in its own thread', () => startEngine(SCRIPT)],
  ['behind a port', overPort],
])('an engine %s', (_name, start) => {
  test('says of each request what its cache had', async () => {
    const engine = await start();
    const first = await ask(engine, chat(system('Be kind to everybody.'), user('How are you?')));
    const [begin] = first;
    const promptTokens = begin?.type === 'start' ? begin.promptTokens : 0;
    expect(begin).toMatchObject({ cache: { computed: promptTokens, reason: 'new' } });
    expect(await engine.sessions.requestCache('ann', 'r')).toEqual({
      requestId: 'r',
      session: 's',
      promptTokens,
      report: { found: { pool: 0, ram: 0, disk: 0 }, computed: promptTokens, reason: 'new' },
      cause: 'new_session',
    });
    expect(await engine.sessions.requestCache('ann', 'none')).toBeUndefined();
    await ask(
      engine,
      chat(system('Be kind to everybody.'), user('How are you?'), assistant('Fine'), user('And I?')),
      {},
      'second',
    );
    const second = await engine.sessions.requestCache('ann', 'second');
    expect(second).toMatchObject({ report: { reason: 'none' } });
    expect(second?.cause).toBeUndefined();
    expect(second?.report.found.pool).toBeGreaterThanOrEqual(32);
  });

  test('tells the owner where a changed prompt left the old one, in words', async () => {
    const engine = await start();
    await ask(engine, chat(system('Today is Monday, the first of May. Be kind.'), user('How are you?')));
    const next = [user('How are you?'), assistant('Fine'), user('Why?')];
    await ask(engine, chat(system('Today is Sunday, the first of May. Be kind.'), ...next));
    const { misses } = await engine.sessions.get('ann', 's');
    expect(misses).toMatchObject([
      {
        cause: 'system_changed',
        tokenIndex: 'SToday is '.length,
        oldText: expect.stringContaining('Monday,'),
        newText: expect.stringContaining('Sunday,'),
      },
      { cause: 'new_session', tokenIndex: 0, oldText: '', newText: '' },
    ]);
  });

  test('keeps a session\u2019s tokens, answer included, and refuses what it has not', async () => {
    const engine = await start();
    await ask(engine, chat(user('How are you?')));
    // A marker, the text, the assistant's marker, the answer, the end.
    expect((await engine.sessions.get('ann', 's')).tokens).toBe(1 + 12 + 1 + 2 + 1);
    await expect(engine.sessions.get('bob', 's')).rejects.toMatchObject({
      code: 'not_found',
      details: { reason: 'session_not_found' },
    });
    await engine.sessions.delete('ann', 's');
    expect(await engine.sessions.list('ann', { limit: 10 })).toEqual([]);
  });
});

test('an exported session goes on elsewhere without computing its beginning again', async () => {
  const text = user('How are you? I hope that you have slept well, and long enough.');
  const [here, there] = [
    await startEngine(SCRIPT, { store: new MemoryStore() }),
    await startEngine(SCRIPT, { store: new MemoryStore() }),
  ];
  await ask(here, chat(text));
  const file = await here.sessions.export('ann', 's');
  const { tokens } = await here.sessions.get('ann', 's');
  // Of the answer's end there is no KV: nothing was computed after it.
  expect(await there.sessions.import('bob', file, {})).toMatchObject({ tokens, tokensByTier: { ram: tokens - 1 } });
  const [start] = await ask(there, chat(text), { owner: 'bob' });
  const promptTokens = start?.type === 'start' ? start.promptTokens : 0;
  expect(start).toMatchObject({ cache: { found: { pool: 0, ram: promptTokens - 1 }, computed: 1 } });

  const without = await startEngine(SCRIPT);
  await expect(without.sessions.import('bob', file, {})).rejects.toMatchObject({ details: { reason: 'no_kv_tier' } });
  expect(await without.sessions.list('bob', { limit: 1 })).toEqual([]);
  const other = await startEngine({ ...SCRIPT, contextLength: 1024 }, { store: new MemoryStore() });
  await expect(other.sessions.import('bob', file, {})).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining('another model'),
  });
});

test('a session forked by name alone finds all that its parent has', async () => {
  const engine = await startEngine(SCRIPT);
  const text = user('How are you? I hope that you have slept well, and long enough.');
  await ask(engine, chat(text));
  const blocks = engine.stats().kvBlocksCached;
  await engine.sessions.fork('ann', 's', { id: 'sub' });
  expect(engine.stats().kvBlocksCached).toBe(blocks);
  await ask(engine, chat(text, assistant('Fine'), user('Why?')), { session: 'sub' }, 'sub');
  expect(await engine.sessions.requestCache('ann', 'sub')).toMatchObject({ report: { reason: 'none' } });
});

test('a thought that the next prompt leaves out is named as the cause', async () => {
  const engine = await startEngine(SCRIPT);
  await ask(engine, chat(user('ponder')));
  await ask(engine, chat(user('ponder'), assistant('Done'), user('And what comes after that?')));
  const { misses } = await engine.sessions.get('ann', 's');
  expect(misses[0]).toMatchObject({ cause: 'reasoning_dropped', oldText: expect.stringContaining('<think>') });
});

test('tools in another order, other tools, and an edited message are told apart', async () => {
  const engine = await startEngine(SCRIPT);
  const tool = (name: string) => ({ name, parameters: { type: 'object', properties: {} } });
  const filler = system('x'.repeat(64));
  // The scripted model shows no tools: what it is shown changes with the text.
  const withTools = (names: string[], text: string): Prompt => ({
    ...(chat(filler, user(text), assistant('y'.repeat(40)), user('go on')) as Extract<Prompt, { kind: 'chat' }>),
    tools: names.map(tool),
  });
  const causeOf = async (prompt: Prompt, id: string) => {
    await ask(engine, prompt, {}, id);
    return (await engine.sessions.requestCache('ann', id))?.cause;
  };
  await ask(engine, withTools(['a', 'b'], 'one'));
  expect(await causeOf(withTools(['b', 'a'], 'two'), 'reordered')).toBe('tools_reordered');
  expect(await causeOf(withTools(['b', 'c'], 'three'), 'changed')).toBe('tools_changed');
  expect(await causeOf(withTools(['b', 'c'], 'four'), 'edited')).toBe('history_changed');
});

test('a session whose request is aborted stays as it was', async () => {
  const { beforeToken, waiting, open } = gate();
  const engine = await startEngine(SCRIPT, { beforeToken });
  const abort = new AbortController();
  const generation = await generate(
    engine,
    chat(user('How are you?')),
    { cache: { owner: 'ann', session: 's' } },
    abort.signal,
  );
  const reading = collect(generation);
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  open();
  abort.abort();
  await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  expect(await engine.sessions.get('ann', 's')).toMatchObject({ requests: 1, tokens: 0, timelines: 0 });
});
