/** The list of models in pages, as Anthropic's SDKs walk it. */
import { expect, test } from 'vitest';
import type { ModelStore, StoredModel } from '../../src/server/model-store.ts';
import { ANTHROPIC_SDKS, OPENAI_SDKS } from '../support/sdks.ts';
import { post, serve } from '../support/serve.ts';

const stored = (id: string): StoredModel => ({
  id,
  format: 'gguf',
  sizeBytes: 1000,
  createdAt: 1_700_000_000,
  contextLength: 4096,
  error: undefined,
  isServed: false,
});
const refuse = (): never => {
  throw new Error('this store is only read');
};
const modelStore: ModelStore = {
  list: async () => ['a', 'b', 'c', 'd'].map(stored),
  pull: refuse,
  remove: refuse,
};
const ALL = ['scripted', 'a', 'b', 'c', 'd'];
const listen = () => serve({ replies: [{ tokens: ['ok'] }] }, { modelStore });

test.each(ANTHROPIC_SDKS)('%s walks all pages, forwards and backwards', async (_name, Sdk) => {
  const { url } = await listen();
  const client = new Sdk({ baseURL: url, apiKey: 'x', maxRetries: 0 });
  const walk = async (query: { limit: number; before_id?: string; after_id?: string }) => {
    const ids: string[] = [];
    for await (const { id } of client.models.list(query)) ids.push(id);
    return ids;
  };
  expect(await walk({ limit: 2 })).toEqual(ALL);
  expect(await walk({ limit: 1000 })).toEqual(ALL);
  expect(await walk({ limit: 2, after_id: 'a' })).toEqual(['b', 'c', 'd']);
  expect((await client.models.list({ limit: 2, before_id: 'd' })).data.map(({ id }) => id)).toEqual(['b', 'c']);
  expect((await walk({ limit: 2, before_id: 'd' })).sort()).toEqual(['a', 'b', 'c', 'scripted']);
});

test.each(OPENAI_SDKS)('%s gets all at once', async (_name, Sdk) => {
  const { url } = await listen();
  const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(ALL);
});

test('says whether there is more, and refuses what names no page', async () => {
  const { url } = await listen();
  const page = async (query: string) => {
    const answer = await fetch(`${url}/v1/models?${query}`, { headers: { 'anthropic-version': '2023-06-01' } });
    return { status: answer.status, ...((await answer.json()) as object) };
  };
  expect(await page('limit=2')).toMatchObject({ has_more: true, first_id: 'scripted', last_id: 'a' });
  expect(await page('limit=2&after_id=b')).toMatchObject({ has_more: false, first_id: 'c', last_id: 'd' });
  expect(await page('limit=2&before_id=b')).toMatchObject({ has_more: false, first_id: 'scripted', last_id: 'a' });
  expect(await page('limit=1&before_id=b')).toMatchObject({ has_more: true, first_id: 'a', last_id: 'a' });
  expect(await page('after_id=d')).toMatchObject({ data: [], has_more: false, first_id: null, last_id: null });
  for (const [query, param] of [
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=x', 'limit'],
    ['after_id=z', 'after_id'],
    ['before_id=z', 'before_id'],
  ] as const)
    expect(await page(query)).toMatchObject({
      status: 400,
      error: { type: 'invalid_request_error', message: expect.stringMatching(new RegExp(`^${param}: `)) },
    });
});

test('has a catalog for Codex, which logs an error without one, beside the list', async () => {
  const { url } = await listen();
  const list = async (query: string) => (await (await fetch(`${url}/v1/models${query}`)).json()) as { data: object[] };
  const plain = await list('');
  expect(plain).not.toHaveProperty('models');
  expect(await list('?client_version=0.169.0')).toEqual({ ...plain, models: [] });
});

test('offers Claude Code the served model under a name that it lists and may ask for', async () => {
  const { url } = await listen();
  const headers = { 'user-agent': 'claude-cli/2.1.0 (external, cli)', 'anthropic-version': '2023-06-01' };
  const answer = await fetch(`${url}/v1/models?limit=1000`, { headers });
  const { data } = (await answer.json()) as { data: { id: string; display_name: string }[] };
  expect(data.map(({ id }) => id)).toEqual([...ALL, 'claude-scripted']);
  expect(data.at(-1)?.display_name).toBe('scripted');
  const message = { model: 'claude-scripted', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] };
  expect((await post(`${url}/v1/messages`, message, headers)).status).toBe(200);
});
