import { describe, expect, test } from 'vitest';
import { DEFAULT_SAMPLING } from '../../src/runtime/sampling.ts';
import { ask, collect, gate, generate, startEngine, type TestEngineOptions, textOf } from '../support/engine.ts';
import { until } from '../support/until.ts';

const COUNT = { tokens: ['1', ', ', '2', ', ', '3'] };
const endless = (text = 'x') => ({ tokens: Array.from({ length: 3000 }, () => text) });

describe('an answer', () => {
  test('comes as start, one text a token, and finish with usage', async () => {
    const engine = await startEngine({ replies: [COUNT] });
    expect(await ask(engine, 'Count to 3')).toEqual([
      {
        type: 'start',
        promptTokens: 12,
        cachedTokens: 0,
        cache: { found: { pool: 0, ram: 0, disk: 0 }, computed: 12, reason: 'new' },
      },
      ...COUNT.tokens.map((text) => ({ type: 'text', text })),
      {
        type: 'finish',
        reason: 'stop',
        usage: { promptTokens: 12, cachedTokens: 0, completionTokens: 5, reasoningTokens: 0 },
      },
    ]);
  });

  test('is sampled to the same text at any temperature, with penalties and a seed', async () => {
    const engine = await startEngine({ replies: [{ tokens: Array.from({ length: 70 }, () => 'ab') }] });
    const sampling = { ...DEFAULT_SAMPLING, temperature: 2, frequencyPenalty: 2, repetitionPenalty: 1.5, seed: 7 };
    expect(textOf(await ask(engine, 'a', { sampling }))).toBe('ab'.repeat(70));
    expect(textOf(await ask(engine, 'b', { sampling: { ...DEFAULT_SAMPLING, topP: 0.9 } }))).toBe('ab'.repeat(70));
  });

  test('never shows broken UTF-8', async () => {
    const tokens = ['a', { base64: '8J+Y' }, { base64: 'gA==' }, 'b', { base64: '8J+Y' }];
    const engine = await startEngine({ replies: [{ tokens }] });
    expect(textOf(await ask(engine, 'smile'))).toBe('a😀b\ufffd');
  });

  test('ends at maxTokens, at the end of the context and where the script says so with reason length', async () => {
    const engine = await startEngine({
      contextLength: 64,
      replies: [{ when: 'short', tokens: ['no more'], finish: 'length' }, endless()],
    });
    const finish = async (text: string, maxTokens?: number) =>
      (await ask(engine, text, maxTokens === undefined ? {} : { maxTokens })).at(-1);
    expect(await finish('go', 3)).toMatchObject({ reason: 'length', usage: { completionTokens: 3 } });
    expect(await finish('go')).toMatchObject({ reason: 'length', usage: { promptTokens: 4, completionTokens: 60 } });
    expect(await finish('short')).toMatchObject({ reason: 'length', usage: { completionTokens: 1 } });
    expect(await finish('go', 0)).toMatchObject({ reason: 'length', usage: { completionTokens: 0 } });
  });

  test('ends before a stop string that lies across tokens, and says which', async () => {
    const engine = await startEngine({ replies: [COUNT] });
    const events = await ask(engine, 'Count', { stop: ['nope', ' 2,'] });
    expect(textOf(events)).toBe('1,');
    expect(events.at(-1)).toMatchObject({
      reason: 'stop_sequence',
      stopSequence: ' 2,',
      usage: { completionTokens: 4 },
    });
  });

  test('separates reasoning in a chat and leaves plain text as it is', async () => {
    const replies = [{ tokens: ['<think>', 'Hm', '</think>', '\n\n', 'Yes'] }];
    const engine = await startEngine({ reasoningFormat: 'think', replies });
    const events = await ask(engine, 'Sure?');
    expect([textOf(events, 'reasoning'), textOf(events)]).toEqual(['Hm', 'Yes']);
    expect(events.at(-1)).toMatchObject({ usage: { completionTokens: 5, reasoningTokens: 3 } });
    expect(textOf(await ask(engine, { kind: 'text', text: 'Sure?' }))).toBe('<think>Hm</think>\n\nYes');
  });

  test('reuses the KV of an earlier turn', async () => {
    const engine = await startEngine({ replies: [COUNT] });
    const long = 'a'.repeat(100);
    await ask(engine, long);
    expect((await ask(engine, `${long} and more`))[0]).toMatchObject({ cachedTokens: 96 });
    expect(engine.stats()).toMatchObject({ kvBlocksUsed: 0, cachedTokens: 96, completionTokens: 10 });
  });
});

describe('a scripted reply', () => {
  test('is the first whose pattern matches the last input item', async () => {
    const engine = await startEngine({
      replies: [{ when: '^weather', tokens: ['tool'] }, { when: 'sunny', tokens: ['nice'] }, { tokens: ['else'] }],
    });
    const messages = [
      { role: 'user', content: 'weather' },
      { role: 'assistant', content: 'sunny' },
      {
        role: 'tool',
        content: [
          { type: 'text', text: 'sun' },
          { type: 'text', text: 'ny' },
        ],
      },
    ] as const;
    const prompt = (length: number) =>
      ({ kind: 'chat', messages: messages.slice(0, length), continueFinalMessage: length === 2 }) as const;
    expect(textOf(await ask(engine, prompt(1)))).toBe('tool');
    expect(textOf(await ask(engine, prompt(2)))).toBe('tool');
    expect(textOf(await ask(engine, prompt(3)))).toBe('nice');
    expect(textOf(await ask(engine, 'other'))).toBe('else');
  });

  test('is used as often as it says', async () => {
    const engine = await startEngine({ replies: [{ times: 2, tokens: ['first'] }, { tokens: ['then'] }] });
    const texts = [];
    for (const text of ['a', 'b', 'c']) texts.push(textOf(await ask(engine, text)));
    expect(texts).toEqual(['first', 'first', 'then']);
  });

  test('that fails does so alone, after its tokens', async () => {
    const engine = await startEngine({
      replies: [{ when: 'bad', tokens: ['a', 'b', 'c'], failAfterTokens: 2 }, COUNT],
    });
    const [bad, good] = await Promise.all([generate(engine, 'bad'), generate(engine, 'good')]);
    const texts: string[] = [];
    const read = async () => {
      for await (const event of bad.events) if (event.type === 'text') texts.push(event.text);
    };
    await expect(read()).rejects.toMatchObject({ code: 'internal' });
    expect(texts).toEqual(['a', 'b']);
    expect(textOf(await collect(good))).toBe('1, 2, 3');
  });

  test('that is missing is an error of that request', async () => {
    const engine = await startEngine({ replies: [{ when: 'known', tokens: ['a'] }] });
    await expect(ask(engine, 'else')).rejects.toMatchObject({ code: 'invalid_request', message: /4 characters/ });
    expect(textOf(await ask(engine, 'known'))).toBe('a');
  });
});

describe('limits', () => {
  test('refuse a prompt beyond the context, or with more to generate than fits, and never cut it', async () => {
    const engine = await startEngine({ contextLength: 32, replies: [COUNT] });
    const details = (promptTokens: number, maxTokens?: number) => ({
      code: 'context_length_exceeded',
      details: { promptTokens, contextLength: 32, ...(maxTokens === undefined ? {} : { maxTokens }) },
    });
    await expect(generate(engine, 'x'.repeat(30))).rejects.toMatchObject(details(32));
    await expect(generate(engine, 'x'.repeat(28), { maxTokens: 3 })).rejects.toMatchObject(details(30, 3));
    expect((await ask(engine, 'x'.repeat(28), { maxTokens: 2 })).at(-1)).toMatchObject({ reason: 'length' });
  });

  test('refuse token ids outside the vocabulary', async () => {
    const engine = await startEngine({ replies: [COUNT] });
    await expect(generate(engine, { kind: 'tokens', tokenIds: [1, 9999] })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { param: 'prompt' },
    });
    const sampling = { ...DEFAULT_SAMPLING, logitBias: [[9999, 1]] as const };
    await expect(generate(engine, 'a', { sampling })).rejects.toMatchObject({ details: { param: 'logit_bias' } });
  });

  test('bound the queue, and make room again', async () => {
    const { waiting, ...gated } = gate();
    const engine = await startEngine({ replies: [COUNT] }, { ...gated, maxRunning: 2, maxQueue: 1 });
    const abort = new AbortController();
    for (const text of ['a', 'b', 'c']) await generate(engine, text, {}, abort.signal);
    await until(() => waiting.length > 0);
    await expect(generate(engine, 'd')).rejects.toMatchObject({
      code: 'overloaded',
      details: { retryAfterSeconds: expect.any(Number) },
    });
    abort.abort();
    const later = await generate(engine, 'e');
    const read = collect(later);
    while (engine.stats().running + engine.stats().waiting > 0) {
      gated.open();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(textOf(await read)).toBe('1, 2, 3');
  });
});

describe('the loop', () => {
  test('gives token k + 1 only after token k was read, when the runner waits for that', async () => {
    const seen: string[] = [];
    const numSeenBefore: number[] = [];
    const beforeToken = async (_: number, index: number) => {
      await until(() => seen.length === index);
      numSeenBefore.push(seen.length);
    };
    const engine = await startEngine({ replies: [COUNT] }, { beforeToken });
    for await (const event of (await generate(engine, 'go')).events) if (event.type === 'text') seen.push(event.text);
    expect(seen).toEqual(COUNT.tokens);
    expect(numSeenBefore).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('is not held up by a reader that does not read', async () => {
    const engine = await startEngine({ replies: [{ when: 'slow', ...endless() }, COUNT] });
    const slow = await generate(engine, 'slow', { maxTokens: 200 });
    expect(textOf(await ask(engine, 'fast'))).toBe('1, 2, 3');
    await until(() => engine.stats().running === 0);
    expect(textOf(await collect(slow))).toBe('x'.repeat(200));
  });

  test('makes no steps when there is nothing to do', async () => {
    const engine = await startEngine({ replies: [COUNT] });
    await ask(engine, 'go');
    const { steps } = engine.stats();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(engine.stats().steps).toBe(steps);
  });

  test('gives running streams a token at every step while a long prompt is computed', async () => {
    const batches: number[] = [];
    const options: TestEngineOptions = { numBlocks: 1024, onForward: (batch) => void batches.push(batch.numTokens) };
    const engine = await startEngine(
      { contextLength: 8192, replies: [{ when: 'stream', ...endless() }, COUNT] },
      options,
    );
    const abort = new AbortController();
    const stream = (await generate(engine, 'stream', { maxTokens: 2000 }, abort.signal)).events[Symbol.asyncIterator]();
    await stream.next();
    const before = engine.stats();
    const long = await generate(engine, 'y'.repeat(4000));
    const events = long.events[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ type: 'start', promptTokens: 4002 });
    await events.next();
    const after = engine.stats();
    const numChunks = Math.ceil(4002 / 128);
    expect(after.steps - before.steps).toBeGreaterThanOrEqual(numChunks);
    // Both streams' tokens: one a step for the first; of the second only its beginning has come.
    expect(after.completionTokens - before.completionTokens).toBeGreaterThanOrEqual(after.steps - before.steps);
    expect(Math.max(...batches)).toBeLessThanOrEqual(129);
    abort.abort();
  });

  test('gives each sequence of a full, preempting pool the text it gets alone', async () => {
    const replies = Array.from({ length: 6 }, (_, index) => ({
      when: `^${index}`,
      tokens: Array.from({ length: 60 }, (_, count) => `${index}.${count} `),
    }));
    const engine = await startEngine({ contextLength: 160, replies }, { numBlocks: 16 });
    const texts = await Promise.all(
      replies.map(async (_, index) => textOf(await ask(engine, `${index}${'?'.repeat(30)}`))),
    );
    expect(texts).toEqual(replies.map(({ tokens }) => tokens.join('')));
    expect(engine.stats().preemptions).toBeGreaterThan(0);
    expect(engine.stats().kvBlocksUsed).toBe(0);
  });
});
