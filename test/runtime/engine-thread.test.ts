import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Engine } from '../../src/runtime/api.ts';
import { EngineClient } from '../../src/runtime/engine-client.ts';
import { serveEngine } from '../../src/runtime/engine-thread.ts';
import { startEngineThread } from '../../src/runtime/start-engine-thread.ts';
import { ask, collect, generate, startEngine, type TestEngineOptions, textOf } from '../support/engine.ts';
import { until } from '../support/until.ts';

const COUNT = { tokens: ['1', ', ', '2', ', ', '3'] };
const ENDLESS = { when: 'endless', tokens: Array.from({ length: 3000 }, () => 'x') };
const SCRIPT = {
  contextLength: 4096,
  reasoningFormat: 'think',
  replies: [
    ENDLESS,
    { when: 'think', tokens: ['<think>', 'Hm', '</think>', 'Yes'] },
    { when: 'fail', tokens: ['a', 'b'], failAfterTokens: 1 },
    COUNT,
  ],
};

const connect = async (options: TestEngineOptions = {}): Promise<{ client: EngineClient; engine: Engine }> => {
  const engine = await startEngine(SCRIPT, options);
  const { port1, port2 } = new MessageChannel();
  const connecting = EngineClient.connect(port1);
  serveEngine(engine, port2);
  const client = await connecting;
  onTestFinished(() => client.close());
  return { client, engine };
};

describe('an engine behind a port', () => {
  test('says what the engine itself says', async () => {
    const [{ client }, engine] = [await connect(), await startEngine(SCRIPT)];
    expect(client.model).toEqual(engine.model);
    for (const text of ['Count', 'think']) {
      expect(await ask(client, text, { maxTokens: 4 })).toEqual(await ask(engine, text, { maxTokens: 4 }));
    }
    expect(await client.countTokens({ kind: 'text', text: 'four' })).toBe(4);
    expect([...(await client.tokenizer.tokenize({ kind: 'text', text: 'ab' }))]).toEqual([97, 98]);
    expect(await client.tokenizer.detokenize([97, 0xc3, 0xa9])).toBe('aé');
    expect(await client.tokenizer.pieces([97, 0xc3])).toEqual(['a', Uint8Array.of(0xc3)]);
    await until(() => client.stats().completionTokens === engine.stats().completionTokens);
    expect(client.stats()).toEqual({ ...engine.stats(), steps: client.stats().steps });
  });

  test('keeps the code and the details of errors', async () => {
    const { client } = await connect();
    await expect(generate(client, 'x'.repeat(5000))).rejects.toMatchObject({
      code: 'context_length_exceeded',
      details: { promptTokens: 5002, contextLength: 4096 },
    });
    await expect(ask(client, 'fail')).rejects.toMatchObject({ code: 'internal', message: /failAfterTokens/ });
    await expect(client.tokenizer.detokenize([1e6])).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(client.countTokens({ kind: 'text', text: 'still here' })).resolves.toBe(10);
  });

  test('is told of an abort, before and after the request was accepted', async () => {
    const { client, engine } = await connect();
    const abort = new AbortController();
    const generation = await generate(client, 'endless', {}, abort.signal);
    await generation.events[Symbol.asyncIterator]().next();
    abort.abort();
    await expect(collect(generation)).rejects.toMatchObject({ code: 'aborted' });
    await until(() => engine.stats().running === 0);

    const second = new AbortController();
    const pending = generate(client, 'endless', {}, second.signal);
    second.abort();
    await expect(pending).rejects.toMatchObject({ code: 'aborted' });
    for await (const event of (await generate(client, 'endless')).events) if (event.type === 'text') break;
    await until(() => engine.stats().running + engine.stats().waiting === 0);
    expect(engine.stats().kvBlocksUsed).toBe(0);
    await until(() => client.stats().kvBlocksUsed === 0);
  });

  test('refuses what cannot be sent, and forgets it', async () => {
    const { client } = await connect();
    const templateArguments = { greet: () => 'hello' };
    const prompt = { kind: 'chat', messages: [], continueFinalMessage: false, templateArguments } as const;
    await expect(generate(client, prompt)).rejects.toThrow(/could not be cloned/);
    expect(textOf(await ask(client, 'Count'))).toBe('1, 2, 3');
  });

  test('fails all requests when the port closes', async () => {
    const engine = await startEngine(SCRIPT);
    const { port1, port2 } = new MessageChannel();
    const connecting = EngineClient.connect(port1);
    serveEngine(engine, port2);
    const client = await connecting;
    const generation = await generate(client, 'endless');
    port2.close();
    await expect(collect(generation)).rejects.toMatchObject({ code: 'internal' });
    await expect(generate(client, 'Count')).rejects.toMatchObject({ code: 'internal' });
    await client.close();
  });

  test('fails requests in flight with shutting_down when it is closed', async () => {
    const { client } = await connect();
    const generation = await generate(client, 'endless');
    await Promise.all([expect(collect(generation)).rejects.toMatchObject({ code: 'shutting_down' }), client.close()]);
    await expect(generate(client, 'Count')).rejects.toMatchObject({ code: 'shutting_down' });
  });
});

describe('an engine in its own thread', () => {
  const scriptFile = async (content: string): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), 'firstlight-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'scripted.json');
    await writeFile(file, content);
    return `scripted:${file}`;
  };

  test('answers and ends when it is closed', async () => {
    const model = await scriptFile(JSON.stringify(SCRIPT));
    let hasExited = false;
    const engine = await startEngineThread({ model, numWorkerThreads: 1 }, { onExit: () => (hasExited = true) });
    expect(engine.model).toMatchObject({ id: 'scripted', contextLength: 4096 });
    const events = await ask(engine, 'think');
    expect([textOf(events, 'reasoning'), textOf(events)]).toEqual(['Hm', 'Yes']);
    const pending = generate(engine, 'Count');
    await Promise.all([expect(pending).rejects.toMatchObject({ code: 'shutting_down' }), engine.close()]);
    expect(hasExited).toBe(false);
  });

  test('says why a model cannot be loaded', async () => {
    const model = await scriptFile('{ "replies": [{ "tokens": "hello", "times": -1 }] }');
    await expect(startEngineThread({ model })).rejects.toMatchObject({
      code: 'model_file_invalid',
      message: /replies\.0\.times.*found -1/,
    });
  });
});
