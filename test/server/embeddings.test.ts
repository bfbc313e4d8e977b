/** `/v1/embeddings` over a real, tiny encoder: both SDKs, raw bodies, and what is refused. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import OpenAI7 from 'openai-7';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Engine } from '../../src/runtime/api.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { createServer, type Server } from '../../src/server/app.ts';
import { refusal, requestsOf } from '../support/parse.ts';
import { post, serve } from '../support/serve.ts';
import { TINY_CONTEXT, TINY_VOCABULARY, writeTinyEncoder } from '../support/tiny-encoders.ts';
import { until } from '../support/until.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const SIZE = 64;
let folder: string;
let engine: Engine;
let server: Server;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'embeddings-'));
  const path = join(folder, 'tiny.gguf');
  writeTinyEncoder(path, 'nomic-bert', { weights: 'Q8_0' });
  engine = await createEngine({ model: path, numWorkerThreads: 1, activations: 'f32' });
  server = await createServer(engine, { port: 0, logger: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await server.close();
  await engine.close();
  rmSync(folder, { recursive: true });
});

interface Body {
  readonly data: readonly { readonly embedding: number[] | string }[];
  readonly usage: object;
}

const ask = async (body: object): Promise<Body> => {
  const answer = await post(`${server.url}/v1/embeddings`, { model: 'tiny', ...body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  // The published schema knows floats alone.
  const isBase64 = 'encoding_format' in body && body.encoding_format === 'base64';
  if (!isBase64) expectSchema('openai', 'CreateEmbeddingResponse', answer.body);
  return answer.body as Body;
};

const lengthOf = (embedding: readonly number[]): number => Math.hypot(...embedding);

describe.each([
  ['openai 6', OpenAI],
  ['openai 7', OpenAI7 as unknown as typeof OpenAI],
])('%s', (_name, Client) => {
  test('reads the same numbers as base64, its default, and as floats', async () => {
    const client = new Client({ baseURL: `${server.url}/v1`, apiKey: 'none' });
    const input = ['the quick fox', 'a lazy dog'];
    const byDefault = await client.embeddings.create({ model: 'tiny', input });
    const asFloats = await client.embeddings.create({ model: 'tiny', input, encoding_format: 'float' });
    expect(byDefault.data.map(({ index }) => index)).toEqual([0, 1]);
    expect(byDefault.usage).toEqual({ prompt_tokens: 10, total_tokens: 10 });
    for (const [index, { embedding }] of byDefault.data.entries()) {
      expect(embedding.length).toBe(SIZE);
      expect(lengthOf(embedding)).toBeCloseTo(1, 5);
      expect([...embedding]).toEqual(asFloats.data[index]!.embedding.map(Math.fround));
    }
    const short = await client.embeddings.create({ model: 'tiny', input: 'the quick fox', dimensions: 16 });
    const cut = asFloats.data[0]!.embedding.slice(0, 16);
    const scale = lengthOf(cut);
    expect(short.data[0]!.embedding.length).toBe(16);
    for (const [i, value] of [...short.data[0]!.embedding].entries()) expect(value).toBeCloseTo(cut[i]! / scale, 5);
  });

  test('is told what is wrong in its own classes', async () => {
    const client = new Client({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const long = 'fox '.repeat(TINY_CONTEXT);
    await expect(client.embeddings.create({ model: 'tiny', input: long })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'input',
      message: expect.stringMatching(`${TINY_CONTEXT + 2} tokens, the model reads at most ${TINY_CONTEXT}`) as string,
    });
    await expect(client.embeddings.create({ model: 'other', input: 'x' })).rejects.toMatchObject({ status: 404 });
  });

  test('gets a 400 where it asks an embedding model for text', async () => {
    const client = new Client({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const messages = [{ role: 'user', content: 'hi' }] as const;
    const refused = { status: 400, message: expect.stringMatching(/makes embeddings and no text/) as string };
    await expect(client.chat.completions.create({ model: 'tiny', messages: [...messages] })).rejects.toMatchObject(
      refused,
    );
    await expect(client.completions.create({ model: 'tiny', prompt: 'hi' })).rejects.toMatchObject(refused);
  });
});

test('texts, lists of texts, token ids and lists of them are inputs', async () => {
  const ids = [...(await engine.tokenizer.tokenize({ kind: 'text', text: 'the lazy dog' }))];
  const [one, ofTexts, ofIds, ofLists] = [
    await ask({ input: 'the lazy dog' }),
    await ask({ input: ['the lazy dog', 'fox'] }),
    await ask({ input: ids }),
    await ask({ input: [ids, [4]] }),
  ];
  for (const body of [ofTexts, ofIds, ofLists]) {
    const product = (body.data[0]!.embedding as number[]).reduce(
      (sum, value, i) => sum + value * (one.data[0]!.embedding as number[])[i]!,
      0,
    );
    expect(product).toBeCloseTo(1, 5);
  }
  expect([one, ofTexts, ofIds, ofLists].map(({ data }) => data.length)).toEqual([1, 2, 1, 2]);
  expect(ofLists.usage).toEqual({ prompt_tokens: ids.length + 1, total_tokens: ids.length + 1 });
});

test('a thousand texts come back in order', async () => {
  const input = Array.from({ length: 1000 }, (_, index) => [5 + (index % 7), 6]);
  const { data } = await ask({ input, dimensions: 8, encoding_format: 'base64' });
  expect(data.length).toBe(1000);
  expect(new Set(data.map(({ embedding }) => embedding)).size).toBeLessThanOrEqual(14);
  expect(data[0]!.embedding).not.toEqual(data[1]!.embedding);
});

test.each([
  ['no input', {}, 'input', 'missing_required_parameter'],
  ['an empty text', { input: '' }, 'input', 'invalid_value'],
  ['an empty list', { input: [] }, 'input', 'array_below_min_length'],
  ['an empty text among others', { input: ['a', ''] }, 'input[1]', 'invalid_value'],
  ['an empty list among others', { input: [[1], []] }, 'input[1]', 'invalid_value'],
  ['2049 texts', { input: new Array(2049).fill('a') }, 'input', 'array_above_max_length'],
  ['ids and texts mixed', { input: [1, 'a'] }, 'input[0]', 'invalid_type'],
  ['an object', { input: { text: 'a' } }, 'input', 'invalid_type'],
  ['an id beyond the vocabulary', { input: [TINY_VOCABULARY.length] }, 'input', null],
  ['no dimensions', { input: 'a', dimensions: 0 }, 'dimensions', 'integer_below_min_value'],
  ['more dimensions than there are', { input: 'a', dimensions: SIZE + 1 }, 'dimensions', null],
  ['an unknown encoding', { input: 'a', encoding_format: 'hex' }, 'encoding_format', 'invalid_value'],
])('%s is refused, naming the field', async (_what, body, param, code) => {
  const answer = await post(`${server.url}/v1/embeddings`, { model: 'tiny', ...body });
  expect(answer.status).toBe(400);
  expectSchema('openai', 'ErrorResponse', answer.body);
  expect(answer.body).toMatchObject({ error: { type: 'invalid_request_error', param, code } });
});

test('Anthropic clients are refused in their own words', async () => {
  const body = { model: 'claude-x', max_tokens: 4, messages: [{ role: 'user', content: 'hi' }] };
  const answer = await post(`${server.url}/v1/messages`, body);
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({
    type: 'error',
    error: { type: 'invalid_request_error', message: expect.stringMatching(/makes embeddings and no text/) as string },
  });
});

test('a client that leaves stops the work', async () => {
  const leaving = new AbortController();
  const input = new Array(2048).fill(new Array(TINY_CONTEXT).fill(6));
  const asking = fetch(`${server.url}/v1/embeddings`, {
    method: 'POST',
    body: JSON.stringify({ model: 'tiny', input }),
    signal: leaving.signal,
  });
  await until(() => engine.stats().running > 0);
  leaving.abort();
  await expect(asking).rejects.toThrow();
  const { steps } = engine.stats();
  await until(() => engine.stats().running + engine.stats().waiting === 0);
  expect(engine.stats().steps).toBeLessThan(steps + 10);
});

test('the list of models says what the model can do', async () => {
  const list = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: readonly object[] };
  expect(list.data[0]).toMatchObject({ id: 'tiny', tasks: ['embed'], embedding: { size: SIZE, pooling: 'mean' } });
});

test('a model that generates makes embeddings too, while it answers', async () => {
  const generating = await createEngine({ model: EMBEDDED_MODEL_PATH, numWorkerThreads: 1 });
  const both = await createServer(generating, { port: 0, logger: pino({ level: 'silent' }) });
  onTestFinished(async () => {
    await both.close();
    await generating.close();
  });
  const client = new OpenAI({ baseURL: `${both.url}/v1`, apiKey: 'none' });
  const { id: model, ...rest } = (await client.models.list()).data[0]!;
  expect(rest).toMatchObject({ tasks: ['generate', 'embed'], embedding: { pooling: 'last' } });
  const [answer, { data, usage }] = await Promise.all([
    client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Count to 3' }], max_tokens: 16 }),
    client.embeddings.create({ model, input: ['one two three', 'one two three', 'a dog'] }),
  ]);
  expect(answer.choices[0]!.message.content).not.toBe('');
  expect(data.length).toBe(3);
  expect(usage.prompt_tokens).toBeGreaterThan(6);
  for (const { embedding } of data) expect(lengthOf(embedding)).toBeCloseTo(1, 5);
  for (const [i, value] of data[0]!.embedding.entries()) expect(data[1]!.embedding[i]).toBeCloseTo(value, 4);
});

test('a scripted model gives equal texts equal embeddings, in steps shared with its answers', async () => {
  const { url } = await serve({ replies: [{ tokens: ['ok'] }] });
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  const input = ['a text', 'another one', 'a text', 'x'.repeat(5000)];
  const [{ data, usage }, answer] = await Promise.all([
    client.embeddings.create({ model: 'scripted', input }),
    client.chat.completions.create({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }] }),
  ]);
  expect(answer.choices[0]!.message.content).toBe('ok');
  expect(usage.prompt_tokens).toBe(input.join('').length);
  expect([...data[2]!.embedding]).toEqual([...data[0]!.embedding]);
  expect([...data[1]!.embedding]).not.toEqual([...data[0]!.embedding]);
  for (const { embedding } of data) expect(lengthOf(embedding)).toBeCloseTo(1, 5);
});

test('a model without embeddings is not asked for any', () => {
  expect(refusal(() => requestsOf('/v1/embeddings', { input: 'a' }))).toMatchObject({
    code: 'not_supported',
    param: 'model',
    message: "the model 'm' makes no embeddings: serve one that does",
  });
});
