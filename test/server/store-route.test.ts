/** Listing, fetching and removing models over HTTP: who may, what is said, and what happens to those who leave. */
import { networkInterfaces } from 'node:os';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { EngineError } from '../../src/runtime/errors.ts';
import { Access } from '../../src/server/auth.ts';
import type { ModelStore, StoredModel, StoreProgress } from '../../src/server/model-store.ts';
import { call } from '../support/call.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const SCRIPT: Script = { replies: [{ tokens: ['ok'] }] };

const stored = (id: string, more: Partial<StoredModel> = {}): StoredModel => ({
  id,
  format: 'gguf',
  sizeBytes: 1000,
  createdAt: 1_700_000_000,
  contextLength: 4096,
  error: undefined,
  isServed: false,
  ...more,
});

const SMALL = stored('org/small:Q8_0');
const BROKEN = stored('org/broken:Q4_0', {
  contextLength: undefined,
  error: { code: 'model_file_invalid', message: 'org/broken:Q4_0: no magic', details: {} },
});

type Pull = ModelStore['pull'];

/** Remembers what it was asked. */
class FakeStore implements ModelStore {
  models: readonly StoredModel[] = [SMALL, BROKEN];
  readonly asked: string[] = [];
  readonly #pull: Pull;

  constructor(pull: Pull = async () => SMALL) {
    this.#pull = pull;
  }

  list = async () => this.models;

  pull: Pull = (name, onProgress, signal) => {
    this.asked.push(`pull ${name}`);
    return this.#pull(name, onProgress, signal);
  };

  remove = async (name: string) => {
    this.asked.push(`remove ${name}`);
    if (name !== SMALL.id) throw new EngineError('model_not_found', `${name}: is not here`);
    return { ids: [name], freedBytes: 1000 };
  };
}

const progress = (more: Partial<StoreProgress> = {}): StoreProgress => ({
  phase: 'fetch',
  file: 'a.gguf',
  fetchedBytes: 10,
  checkedBytes: 0,
  totalBytes: 100,
  bytesPerSecond: undefined,
  ...more,
});

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

const pullOf = async (url: string, model: unknown): Promise<{ status: number; text: string }> => {
  const answer = await fetch(`${url}/api/models/pull`, { method: 'POST', body: JSON.stringify({ model }) });
  return { status: answer.status, text: await answer.text() };
};

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('lists the served model first, then what is installed, what cannot be read with its error', async () => {
    const modelStore = new FakeStore();
    const { url } = await serve(SCRIPT, { transport, modelStore });
    const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: object[] };
    expect(list).toMatchObject({ first_id: 'scripted', last_id: BROKEN.id, has_more: false });
    expect(list.data).toMatchObject([
      { id: 'scripted', served: true, context_length: 8192 },
      { id: SMALL.id, served: false, context_length: 4096, format: 'gguf', size_bytes: 1000, created: 1_700_000_000 },
      { id: BROKEN.id, served: false, context_length: null, error: { code: 'model_file_invalid' } },
    ]);
    for (const entry of list.data) {
      expectSchema('openai', 'Model', entry);
      expectSchema('anthropic', 'ModelInfo', entry);
    }
    expectSchema('anthropic', 'ListResponse_ModelInfo_', list);
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
    expect((await openai.models.retrieve(SMALL.id)).id).toBe(SMALL.id);
    const anthropic = new Anthropic({ baseURL: url, apiKey: 'none' });
    expect((await anthropic.models.retrieve(SMALL.id)).max_input_tokens).toBe(4096);
    expect((await anthropic.models.retrieve('claude-opus-4')).id).toBe('scripted');
    expect((await fetch(`${url}/v1/models/org%2Fnone`)).status).toBe(404);
  });

  test('says the loaded files’ format and size under the name that they are served by, and lists them once', async () => {
    const modelStore = new FakeStore();
    modelStore.models = [SMALL, stored('org/loaded:F16', { sizeBytes: 77, isServed: true })];
    const { url } = await serve(SCRIPT, { transport, modelStore });
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: object[] };
    expect(data).toMatchObject([{ id: 'scripted', format: 'gguf', size_bytes: 77, served: true }, { id: SMALL.id }]);
    expect(data).toHaveLength(2);
  });

  test('a chat request for an installed model that is not served is refused as for any other', async () => {
    const { url } = await serve(SCRIPT, { transport, modelStore: new FakeStore() });
    const chat = { model: SMALL.id, messages: [{ role: 'user', content: 'hi' }] };
    expect(await post(`${url}/v1/chat/completions`, chat)).toMatchObject({
      status: 404,
      body: { error: { code: 'model_not_found' } },
    });
  });

  test('streams a download: progress, then the model', async () => {
    const modelStore = new FakeStore(async (_name, onProgress) => {
      onProgress(progress());
      onProgress(progress({ fetchedBytes: 20 }));
      onProgress(progress({ phase: 'check', fetchedBytes: 100, checkedBytes: 5, bytesPerSecond: 12.6 }));
      return SMALL;
    });
    const { url, log } = await serve(SCRIPT, { transport, modelStore });
    const { status, text } = await pullOf(url, SMALL.id);
    expect(status).toBe(200);
    // The second comes too soon after the first for a display.
    expect(parseSse(text)).toMatchObject([
      ['progress', { phase: 'fetch', file: 'a.gguf', bytes: 10, total: 100, bytesPerSecond: null }],
      ['progress', { phase: 'check', file: 'a.gguf', bytes: 100, checkedBytes: 5, bytesPerSecond: 13 }],
      ['done', { model: { id: SMALL.id, object: 'model', format: 'gguf', size_bytes: 1000, served: false } }],
    ]);
    await until(() => log.length > 0);
    expect(log).toMatchObject([{ route: '/api/models/pull', status: 200 }]);
  });

  test('tells of what the hub refuses inside the stream, and of a conflict by its status', async () => {
    let error = new EngineError('unauthorized', 'the hub wants a token');
    const modelStore = new FakeStore(() => Promise.reject(error));
    const { url } = await serve(SCRIPT, { transport, modelStore });
    const refused = await pullOf(url, SMALL.id);
    expect(refused.status).toBe(200);
    expect(parseSse(refused.text)).toEqual([
      ['error', { type: 'error', code: 'unauthorized', message: 'the hub wants a token' }],
    ]);
    error = new EngineError('conflict', 'is being fetched');
    const conflict = await pullOf(url, SMALL.id);
    expect([conflict.status, JSON.parse(conflict.text)]).toMatchObject([409, { error: { code: 'conflict' } }]);
  });

  test('keeps a download that says nothing alive', async () => {
    const modelStore = new FakeStore(async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return SMALL;
    });
    const { url } = await serve(SCRIPT, { transport, modelStore, pingIntervalMs: 10 });
    expect((await pullOf(url, SMALL.id)).text).toMatch(/^: ping\n\n[\s\S]*event: done\n/);
  });

  test('refuses bodies without a model, and methods that the routes do not have', async () => {
    const modelStore = new FakeStore();
    const { url } = await serve(SCRIPT, { transport, modelStore });
    for (const model of [undefined, '', 7, 'x'.repeat(5000)]) {
      expect([model, (await pullOf(url, model)).status]).toEqual([model, 400]);
    }
    expect((await post(`${url}/api/models/pull`, '{')).status).toBe(400);
    expect((await post(`${url}/api/models/pull`, { model: 'x'.repeat(100_000) })).status).toBe(413);
    const got = await fetch(`${url}/api/models/pull`);
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    const posted = await fetch(`${url}/api/models/org%2Fsmall`, { method: 'POST', body: '{}' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'DELETE, OPTIONS']);
    expect(modelStore.asked).toEqual([]);
  });

  test('removes a model, but neither the served one nor one that is not here', async () => {
    const modelStore = new FakeStore();
    const { url } = await serve(SCRIPT, { transport, modelStore });
    const remove = async (id: string) => {
      const answer = await fetch(`${url}/api/models/${encodeURIComponent(id)}`, { method: 'DELETE' });
      return [answer.status, await answer.json()] as const;
    };
    expect(await remove(SMALL.id)).toEqual([200, { deleted: [SMALL.id], freedBytes: 1000 }]);
    expect(await remove('org/none')).toMatchObject([404, { error: { code: 'model_not_found' } }]);
    expect(await remove('scripted')).toMatchObject([409, { error: { code: 'conflict' } }]);
    expect(modelStore.asked).toEqual([`remove ${SMALL.id}`, 'remove org/none']);
  });

  test('a client that leaves ends its download', async () => {
    let hasEnded = false;
    const modelStore = new FakeStore(async (_name, onProgress, signal) => {
      onProgress(progress());
      await ended(signal);
      hasEnded = true;
      throw new EngineError('aborted', 'was stopped');
    });
    const { url, log } = await serve(SCRIPT, { transport, modelStore });
    const leaving = new AbortController();
    const answer = await fetch(`${url}/api/models/pull`, {
      method: 'POST',
      body: JSON.stringify({ model: SMALL.id }),
      signal: leaving.signal,
    });
    await answer.body?.getReader().read();
    leaving.abort();
    await until(() => hasEnded && log.length > 0);
    expect(log).toMatchObject([{ route: '/api/models/pull', status: 499 }]);
  });

  test('a server that drains stops downloads, and says so', async () => {
    const modelStore = new FakeStore(async (_name, onProgress, signal) => {
      onProgress(progress());
      await ended(signal);
      throw new EngineError('aborted', 'was stopped');
    });
    const { url, server } = await serve(SCRIPT, { transport, modelStore });
    const pulling = pullOf(url, SMALL.id);
    await until(() => modelStore.asked.length === 1);
    await server.drain();
    expect(parseSse((await pulling).text).at(-1)).toMatchObject(['error', { code: 'shutting_down' }]);
  });

  test('asks for a key where there are keys', async () => {
    const modelStore = new FakeStore();
    const { url } = await serve(SCRIPT, { transport, modelStore, apiKeys: ['key'] });
    const body = JSON.stringify({ model: SMALL.id });
    expect((await call(`${url}/api/models/pull`, {}, 'POST', body)).status).toBe(401);
    expect((await call(`${url}/api/models/org%2Fsmall`, {}, 'DELETE')).status).toBe(401);
    expect(modelStore.asked).toEqual([]);
    expect((await call(`${url}/api/models/pull`, { 'x-api-key': 'key' }, 'POST', body)).status).toBe(200);
  });

  test.each([[[]], [['*']], [['https://app.example']]])(
    'no page changes the machine, with CORS origins %j',
    async (corsOrigins) => {
      const modelStore = new FakeStore();
      const { url, server } = await serve(SCRIPT, { transport, modelStore, corsOrigins });
      const body = JSON.stringify({ model: SMALL.id });
      const form = { 'content-type': 'text/plain' };
      for (const headers of [
        { origin: 'https://app.example' },
        { origin: 'https://evil.example' },
        { origin: 'null' },
        { origin: `http://localhost:${server.port + 1}` },
        { origin: 'http://evil.example', host: 'evil.example' },
        { host: 'evil.example' },
        { 'x-forwarded-for': '10.0.0.1' },
      ]) {
        const posted = await call(`${url}/api/models/pull`, { ...form, ...headers }, 'POST', body);
        const deleted = await call(`${url}/api/models/org%2Fsmall`, headers, 'DELETE');
        expect([headers, posted.status, deleted.status]).toEqual([headers, 403, 403]);
      }
      expect(modelStore.asked).toEqual([]);
      const preflight = await call(`${url}/api/models/x`, { origin: 'https://app.example' }, 'OPTIONS');
      expect(preflight.headers['access-control-allow-methods'] ?? '').not.toContain('DELETE');
      const own = { origin: `http://127.0.0.1:${server.port}` };
      expect((await call(`${url}/api/models/pull`, own, 'POST', body)).status).toBe(200);
    },
  );

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;

  test.skipIf(outside === undefined)('refuses callers that are not on this machine’s loopback', async () => {
    const modelStore = new FakeStore();
    const { server } = await serve(SCRIPT, { transport, modelStore, host: '0.0.0.0', apiKeys: ['key'] });
    const reach = (host: string) =>
      call(
        `http://${host}:${server.port}/api/models/pull`,
        { 'x-api-key': 'key' },
        'POST',
        JSON.stringify({ model: SMALL.id }),
      );
    const refused = await reach(outside!);
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([403, { error: { code: 'forbidden' } }]);
    expect(modelStore.asked).toEqual([]);
    expect((await reach('127.0.0.1')).status).toBe(200);
  });

  test('without a store there are no such routes', async () => {
    const { url } = await serve(SCRIPT, { transport });
    expect((await pullOf(url, SMALL.id)).status).toBe(404);
    const removed = await fetch(`${url}/api/models/org%2Fsmall`, { method: 'DELETE' });
    expect([removed.status, await removed.json()]).toMatchObject([404, { error: { code: 'unknown_url' } }]);
  });
});

test('takes loopback peers of both families for local, and nobody else', () => {
  const access = new Access({ host: '0.0.0.0', apiKeys: ['key'], insecure: false, corsOrigins: ['*'] });
  const check = (remoteAddress: string, headers: Record<string, string> = { host: 'localhost:1' }) =>
    access.checkLocal({
      method: 'POST',
      path: '/api/models/pull',
      query: new URLSearchParams(),
      headers: new Map(Object.entries(headers)),
      remoteAddress,
      signal: new AbortController().signal,
    });
  for (const peer of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(() => check(peer)).not.toThrow();
  expect(() => check('::1', { host: '[::1]:80', origin: 'http://[::1]:80' })).not.toThrow();
  for (const peer of ['10.0.0.1', '::2', '::ffff:10.0.0.1', '']) {
    expect(() => check(peer)).toThrow(expect.objectContaining({ code: 'forbidden' }));
  }
  expect(() => check('127.0.0.1', { host: 'rebound.example', origin: 'http://rebound.example' })).toThrow(
    /its own names/,
  );
});
