/** The engine of an embedding model: how requests share its steps, and what it refuses. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Engine, Prompt } from '../../src/runtime/api.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { EncoderEngine, type EncoderEngineParts } from '../../src/runtime/encoder-engine.ts';
import type { EmbeddingRunner } from '../../src/runtime/encoder-runner.ts';
import { EngineClient } from '../../src/runtime/engine-client.ts';
import { serveEngine } from '../../src/runtime/engine-thread.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { openGguf } from '../../src/runtime/weights/gguf.ts';
import { ggufTokenizer } from '../../src/runtime/weights/gguf-tokenizer.ts';
import type { TokenizerDefinition } from '../../src/workers/tokenizer/definition.ts';
import { request } from '../support/engine.ts';
import { inlineWorkers } from '../support/inline-workers.ts';
import { CLS, SEP, TINY_CONTEXT, TINY_VOCABULARY, writeTinyEncoder } from '../support/tiny-encoders.ts';
import { until } from '../support/until.ts';

let folder: string;
let path: string;
let definition: TokenizerDefinition;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'encoder-engine-'));
  path = join(folder, 'tiny.gguf');
  writeTinyEncoder(path, 'bert');
  const file = await openGguf(path);
  definition = ggufTokenizer(file)!;
  await file.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

const text = (words: string): Prompt => ({ kind: 'text', text: words });
const ids = (...tokenIds: number[]): Prompt => ({ kind: 'tokens', tokenIds });
const live = () => new AbortController().signal;

const SIZE = 4;

/** Embeds a text as [sum of its ids, 1, 2, 3], when the test lets it. */
class CountingRunner implements EmbeddingRunner {
  readonly limits = { maxTokens: 64, maxSequences: 8 };
  readonly gpuBytes = 1;
  readonly steps: (readonly Uint32Array[])[] = [];
  release: () => void = () => {};
  isHeld = false;
  failure: EngineError | undefined;

  async embed(texts: readonly Uint32Array[]): Promise<Float32Array[]> {
    this.steps.push(texts);
    await nextTick();
    if (this.isHeld) {
      await new Promise<void>((resolve) => {
        this.release = resolve;
      });
    }
    if (this.failure) throw this.failure;
    return texts.map((ids) =>
      Float32Array.of(
        ids.reduce((sum, id) => sum + id, 0),
        1,
        2,
        3,
      ),
    );
  }

  async close(): Promise<void> {}
}

const startCounting = (more: Partial<EncoderEngineParts> = {}) => {
  const runner = new CountingRunner();
  const engine = new EncoderEngine({
    runner,
    model: {
      id: 'tiny',
      architecture: 'bert',
      contextLength: 32,
      vocabularySize: TINY_VOCABULARY.length,
      hasChatTemplate: false,
      generates: false,
      embedding: { size: SIZE, pooling: 'mean' },
      fingerprint: '00',
      createdAt: 0,
    },
    adapter: 'none',
    endTokenId: SEP,
    workers: inlineWorkers(definition, TINY_VOCABULARY.length),
    rebuild: async () => runner,
    ...more,
  });
  onTestFinished(() => {
    runner.isHeld = false;
    runner.release();
    return engine.close();
  });
  return { engine, runner };
};

describe('a real encoder', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ model: path, numWorkerThreads: 1, activations: 'f32', checks: 'full' });
  });
  afterAll(() => engine.close());

  test('gives each of many texts what it gives it alone, of length 1', async () => {
    const texts = ['the quick fox', 'jumps', 'over the lazy dog!', 'a b c d e f g h', 'undogly'].map(text);
    const { embeddings, promptTokens } = await engine.embed([...texts, ...texts], { signal: live() });
    let tokens = 0;
    for (const [index, prompt] of texts.entries()) {
      const alone = await engine.embed([prompt], { signal: live() });
      tokens += alone.promptTokens;
      for (const together of [embeddings[index]!, embeddings[index + texts.length]!]) {
        const cosine = together.reduce((sum, value, i) => sum + value * alone.embeddings[0]![i]!, 0);
        expect(Math.abs(1 - cosine)).toBeLessThan(1e-6);
      }
    }
    expect(promptTokens).toBe(2 * tokens);
  });

  test('puts [CLS] and [SEP] around texts, and takes token ids as they are', async () => {
    const words = [CLS, ...['the', 'quick', 'fox'].map((word) => TINY_VOCABULARY.indexOf(word)), SEP];
    const { embeddings, promptTokens } = await engine.embed([text('The quick  fox'), ids(...words)], {
      signal: live(),
    });
    expect(promptTokens).toBe(10);
    expect([...embeddings[0]!]).toEqual([...embeddings[1]!]);
    expect(await engine.countTokens(text('the quick fox'))).toBe(5);
    expect([...(await engine.tokenizer.tokenize(text('the quick fox')))]).toEqual(words);
  });

  test('describes itself, and generates nothing', async () => {
    expect(engine.model).toMatchObject({
      id: 'tiny',
      architecture: 'bert',
      generates: false,
      embedding: { size: 64, pooling: 'mean' },
      contextLength: TINY_CONTEXT,
    });
    await expect(engine.generate(request('hello'), live())).rejects.toMatchObject({
      code: 'not_supported',
      message: /makes embeddings and no text/,
    });
  });

  test('has no sessions', async () => {
    await expect(engine.sessions.list('anyone', { limit: 5 })).resolves.toEqual([]);
    await expect(engine.sessions.get('anyone', 'x')).rejects.toMatchObject({ code: 'not_found' });
    await expect(engine.sessions.create('anyone', {})).rejects.toMatchObject({ code: 'not_supported' });
  });
});

test('cuts to the wanted dimensions and brings what is left to length 1', async () => {
  const { engine } = startCounting();
  const { embeddings } = await engine.embed([ids(0)], { dimensions: 3, signal: live() });
  expect([...embeddings[0]!]).toEqual([0, 1 / Math.sqrt(5), 2 / Math.sqrt(5)].map(Math.fround));
  for (const dimensions of [0, 1.5, SIZE + 1]) {
    await expect(engine.embed([ids(0)], { dimensions, signal: live() })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { param: 'dimensions' },
    });
  }
});

test('refuses texts beyond the context with both numbers, and computes none of the request', async () => {
  const { engine, runner } = startCounting();
  await expect(engine.embed([ids(1), ids(...new Array(33).fill(1))], { signal: live() })).rejects.toMatchObject({
    code: 'context_length_exceeded',
    message: 'input 1 has 33 tokens, the model reads at most 32: shorten or split it',
  });
  await expect(engine.embed([ids(TINY_VOCABULARY.length)], { signal: live() })).rejects.toMatchObject({
    code: 'invalid_request',
    details: { param: 'input' },
  });
  await expect(engine.embed([ids()], { signal: live() })).rejects.toMatchObject({ code: 'invalid_request' });
  expect(runner.steps).toEqual([]);
});

test('fills steps up to the token budget and the number of texts', async () => {
  const { engine, runner } = startCounting();
  const { embeddings } = await engine.embed(
    Array.from({ length: 20 }, (_, index) => ids(...new Array(index % 3 === 0 ? 30 : 2).fill(index))),
    { signal: live() },
  );
  expect(embeddings.map((embedding) => Math.round(embedding[0]! / embedding[1]!))).toEqual(
    Array.from({ length: 20 }, (_, index) => index * (index % 3 === 0 ? 30 : 2)),
  );
  for (const texts of runner.steps) {
    expect(texts.length).toBeLessThanOrEqual(8);
    expect(texts.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(64);
  }
  expect(runner.steps.length).toBeLessThan(8);
});

test('a large request does not hold up a small one', async () => {
  const { engine, runner } = startCounting();
  runner.isHeld = true;
  const large = engine.embed(new Array(100).fill(ids(1, 2, 3)), { signal: live() });
  await until(() => runner.steps.length === 1);
  const small = engine.embed([ids(9)], { signal: live() });
  await until(() => engine.stats().waiting === 1);
  runner.isHeld = false;
  runner.release();
  await small;
  expect(runner.steps.length).toBeLessThan(5);
  expect((await large).embeddings.length).toBe(100);
});

test('drops an aborted request, queued texts included', async () => {
  const { engine, runner } = startCounting();
  runner.isHeld = true;
  const abort = new AbortController();
  const embedding = engine.embed(new Array(100).fill(ids(1)), { signal: abort.signal });
  await until(() => runner.steps.length === 1);
  abort.abort();
  await expect(embedding).rejects.toMatchObject({ code: 'aborted' });
  runner.isHeld = false;
  runner.release();
  await until(() => engine.stats().running + engine.stats().waiting === 0);
  expect(runner.steps.length).toBe(1);
  await expect(engine.embed([text('fox')], { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
});

test('takes no more requests than the queue holds', async () => {
  const { engine, runner } = startCounting({ maxQueue: 2 });
  runner.isHeld = true;
  const running = Array.from({ length: 3 }, () => engine.embed([ids(1)], { signal: live() }));
  await until(() => engine.stats().running + engine.stats().waiting === 3);
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({
    code: 'overloaded',
    details: { retryAfterSeconds: 5 },
  });
  runner.isHeld = false;
  runner.release();
  await Promise.all(running);
  await engine.embed([ids(1)], { signal: live() });
});

test('a step that fails fails its requests, and a lost device comes back for the next ones', async () => {
  const { engine, runner } = startCounting();
  runner.failure = new EngineError('device_lost', 'gone');
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({ code: 'device_lost' });
  runner.failure = undefined;
  await engine.embed([ids(1)], { signal: live() });
  expect(engine.stats().deviceLosses).toBe(1);
  runner.failure = new EngineError('internal', 'wrong');
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({ code: 'internal' });
});

test('requests fail where the device does not come back, and when the engine closes', async () => {
  const { engine, runner } = startCounting({ rebuild: () => Promise.reject(new Error('no adapter')) });
  runner.failure = new EngineError('device_lost', 'gone');
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({ code: 'device_lost' });
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({ message: /no adapter/ });
  await engine.close();
  await expect(engine.embed([ids(1)], { signal: live() })).rejects.toMatchObject({ code: 'shutting_down' });
});

test('behind a port it says the same, and hears of an abort', async () => {
  const { engine, runner } = startCounting();
  const { port1, port2 } = new MessageChannel();
  const connecting = EngineClient.connect(port1);
  serveEngine(engine, port2);
  const client = await connecting;
  onTestFinished(() => client.close());
  const options = { dimensions: 2, signal: live() };
  expect(await client.embed([text('fox'), ids(4)], options)).toEqual(
    await engine.embed([text('fox'), ids(4)], options),
  );
  await expect(client.embed([ids()], options)).rejects.toMatchObject({ details: { param: 'input' } });
  runner.isHeld = true;
  const abort = new AbortController();
  const held = client.embed([ids(1)], { signal: abort.signal });
  await until(() => engine.stats().running === 1);
  abort.abort();
  await expect(held).rejects.toMatchObject({ code: 'aborted' });
  runner.isHeld = false;
  runner.release();
  await until(() => engine.stats().running === 0);
});
