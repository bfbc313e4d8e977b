/** How requests end before their time: aborted, failed, closed. */
import { describe, expect, test } from 'vitest';
import { EngineError } from '../../src/runtime/errors.ts';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import {
  ask,
  collect,
  gate,
  generate,
  request,
  startEngine,
  type TestEngineOptions,
  textOf,
} from '../support/engine.ts';
import { until } from '../support/until.ts';

const COUNT = { tokens: ['1', ', ', '2', ', ', '3'] };
const endless = (text = 'x') => ({ tokens: Array.from({ length: 3000 }, () => text) });
const lost = () => new EngineError('device_lost', 'the device was lost');

describe('abort', () => {
  const start = async () => {
    const gated = gate();
    const engine = await startEngine({ replies: [endless()] }, { ...gated, maxRunning: 1 });
    return { engine, gated };
  };

  test('frees a generating sequence at once, even in the middle of a step', async () => {
    const { engine, gated } = await start();
    const abort = new AbortController();
    const generation = await generate(engine, 'a'.repeat(50), {}, abort.signal);
    await until(() => gated.waiting.length > 0);
    expect(engine.stats().kvBlocksUsed).toBe(4);
    abort.abort();
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, kvBlocksUsed: 0 });
    await expect(collect(generation)).rejects.toMatchObject({ code: 'aborted' });
    gated.open();
  });

  test('frees a sequence whose reader leaves early', async () => {
    const engine = await startEngine({ replies: [endless()] });
    for await (const event of (await generate(engine, 'go')).events) if (event.type === 'text') break;
    expect(engine.stats()).toMatchObject({ running: 0, kvBlocksUsed: 0 });
  });

  test('takes a queued request out of the queue', async () => {
    const { engine, gated } = await start();
    await generate(engine, 'a');
    await until(() => gated.waiting.length > 0);
    const abort = new AbortController();
    const queued = await generate(engine, 'b', {}, abort.signal);
    expect(engine.stats()).toMatchObject({ running: 1, waiting: 1 });
    abort.abort();
    expect(engine.stats()).toMatchObject({ running: 1, waiting: 0 });
    await expect(collect(queued)).rejects.toMatchObject({ code: 'aborted' });
    gated.open();
  });

  test('stops a request that is being tokenized or was aborted before', async () => {
    const { engine } = await start();
    const abort = new AbortController();
    const pending = generate(engine, 'a', {}, abort.signal);
    abort.abort();
    await expect(pending).rejects.toMatchObject({ code: 'aborted' });
    await expect(generate(engine, 'a', {}, abort.signal)).rejects.toMatchObject({ code: 'aborted' });
    await until(() => engine.stats().waiting === 0);
    const later = new AbortController();
    const accepted = generate(engine, { kind: 'tokens', tokenIds: [65] }, {}, later.signal);
    later.abort();
    await expect(accepted).rejects.toMatchObject({ code: 'aborted' });
  });

  test('stops a prompt between its chunks', async () => {
    const batches: number[] = [];
    const abort = new AbortController();
    const onForward: TestEngineOptions['onForward'] = ({ numTokens }) => {
      batches.push(numTokens);
      abort.abort();
    };
    const engine = await startEngine({ replies: [COUNT] }, { onForward });
    await expect(ask(engine, 'y'.repeat(3000), {}, abort.signal)).rejects.toMatchObject({ code: 'aborted' });
    await until(() => !engine.stats().running);
    expect(batches).toEqual([512]);
    expect(engine.stats()).toMatchObject({ kvBlocksUsed: 0, kvBlocksCached: 0 });
  });
});

test('hundreds of requests, some aborted at any moment, leave no block in use and get their own text', async () => {
  const replies = Array.from({ length: 8 }, (_, index) => ({
    when: `^${index}`,
    tokens: Array.from({ length: 10 + 7 * index }, (_, count) => `${index}.${count} `),
  }));
  const engine = await startEngine({ contextLength: 256, replies }, { numBlocks: 24, maxRunning: 6, maxQueue: 1000 });
  let numWhole = 0;
  await Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      const abort = new AbortController();
      const reply = replies[index % 8]!;
      const leaveAfter = index % 3 === 0 ? (index * 7) % 13 : Number.POSITIVE_INFINITY;
      const prompt = `${index % 8}${'shared prefix '.repeat(index % 5)}${index}`;
      const texts: string[] = [];
      try {
        const generation = await generate(engine, prompt, {}, abort.signal);
        if (index % 17 === 0) abort.abort();
        for await (const event of generation.events) {
          if (event.type === 'text') texts.push(event.text);
          if (texts.length >= leaveAfter) return;
        }
        numWhole++;
        expect(texts).toEqual(reply.tokens);
      } catch (error) {
        expect(error).toMatchObject({ code: 'aborted' });
        expect(index % 17).toBe(0);
      }
    }),
  );
  expect(numWhole).toBeGreaterThan(200);
  expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, kvBlocksUsed: 0 });
  expect(engine.stats().preemptions).toBeGreaterThan(0);
});

test('a row without a token to choose fails its own request alone', async () => {
  const engine = await startEngine({ replies: [COUNT] });
  const logitBias = [[65, Number.POSITIVE_INFINITY]] as const;
  const broken = await generate(engine, 'a', { sampling: { ...DEFAULT_SAMPLING, logitBias } });
  const whole = await generate(engine, 'b');
  await expect(collect(broken)).rejects.toMatchObject({ code: 'internal', message: /logit is Infinity/ });
  expect(textOf(await collect(whole))).toBe('1, 2, 3');
});

describe('a failed step', () => {
  test('fails what is in it; the device is rebuilt and the queue goes on', async () => {
    let numRebuilt = 0;
    let isLost = false;
    const options: TestEngineOptions = {
      maxRunning: 1,
      onForward: () => {
        if (!isLost) return;
        isLost = false;
        throw lost();
      },
      rebuild: async () => {
        numRebuilt++;
      },
    };
    const engine = await startEngine({ replies: [{ when: 'long', ...endless() }, COUNT] }, options);
    await ask(engine, 'z'.repeat(100));
    const running = await generate(engine, 'long');
    const queued = await generate(engine, 'z'.repeat(100));
    isLost = true;
    await expect(collect(running)).rejects.toMatchObject({ code: 'device_lost' });
    const events = await collect(queued);
    expect(events[0]).toMatchObject({ cachedTokens: 0 });
    expect(textOf(events)).toBe('1, 2, 3');
    expect([numRebuilt, engine.stats().deviceLosses, engine.stats().kvBlocksUsed]).toEqual([1, 1, 0]);
  });

  test('keeps the engine alive when the device does not come back at once', async () => {
    let isLost = true;
    let isBack = false;
    const options: TestEngineOptions = {
      onForward: () => {
        if (!isLost) return;
        isLost = false;
        throw lost();
      },
      rebuild: async () => {
        if (!isBack) throw new EngineError('adapter_not_found', 'no adapter');
      },
    };
    const engine = await startEngine({ replies: [COUNT] }, options);
    await expect(ask(engine, 'a')).rejects.toMatchObject({ code: 'device_lost' });
    await expect(ask(engine, 'b')).rejects.toMatchObject({ code: 'device_lost', message: /no adapter/ });
    isBack = true;
    expect(textOf(await ask(engine, 'c'))).toBe('1, 2, 3');
  });

  test('refuses a device that comes back with another KV pool', async () => {
    let isLost = true;
    let numBlocks = 8;
    const options: TestEngineOptions = {
      onForward: () => {
        if (isLost) throw lost();
      },
      rebuild: async () => {
        isLost = false;
        return numBlocks;
      },
    };
    const engine = await startEngine({ contextLength: 64, replies: [COUNT] }, options);
    await expect(ask(engine, 'a')).rejects.toMatchObject({ code: 'device_lost' });
    await expect(ask(engine, 'b')).rejects.toMatchObject({ code: 'device_lost', message: /8 blocks of 16/ });
    numBlocks = 256;
    expect(textOf(await ask(engine, 'c'))).toBe('1, 2, 3');
  });

  test('for lack of memory fails its sequences and keeps the device', async () => {
    let isFull = true;
    const onForward = () => {
      if (isFull) throw new EngineError('out_of_memory', 'no memory');
    };
    const rebuild = async () => expect.unreachable();
    const engine = await startEngine({ replies: [COUNT] }, { onForward, rebuild });
    await expect(ask(engine, 'a')).rejects.toMatchObject({ code: 'out_of_memory' });
    isFull = false;
    expect(textOf(await ask(engine, 'b'))).toBe('1, 2, 3');
  });
});

test('closing fails what is in flight with shutting_down and refuses what comes', async () => {
  const engine = await startEngine({ replies: [endless()] });
  const generation = await generate(engine, 'go');
  await engine.close();
  await expect(collect(generation)).rejects.toMatchObject({ code: 'shutting_down' });
  await expect(engine.generate(request('go'), new AbortController().signal)).rejects.toMatchObject({
    code: 'shutting_down',
  });
});

test('closing refuses what was asked a moment before, and may be asked for twice', async () => {
  const engine = await startEngine({ replies: [COUNT] });
  const pending = generate(engine, { kind: 'tokens', tokenIds: [65] });
  const closing = [engine.close(), engine.close()];
  await expect(pending).rejects.toMatchObject({ code: 'shutting_down' });
  await Promise.all(closing);
});
