/** What all routes beside the dialects answer and stream, held to the description that the same server publishes. */
import { expect, onTestFinished, test } from 'vitest';
import { EngineError } from '../../src/runtime/errors.ts';
import type { ModelStore, StoredModel } from '../../src/server/model-store.ts';
import { temporaryFolder } from '../support/firstlight.ts';
import { CheckedClient, expectCovered } from '../support/published-document.ts';
import { type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';

const seen = new Set<string>();
const SCRIPT: Script = {
  replies: [
    { when: 'numbers of the options', tokens: ['2 > 1'] },
    { when: 'Vote', tokens: ['tea'] },
    { when: 'fail', tokens: ['one', ' two'], failAfterTokens: 1 },
    { tokens: ['Fi', 'ne', '.'] },
  ],
};
const chat = { model: 'scripted', messages: [{ role: 'user', content: 'How are you today, and how have you slept?' }] };

const STORED: StoredModel = {
  id: 'org/small:Q8_0',
  format: 'gguf',
  sizeBytes: 1000,
  createdAt: 1_700_000_000,
  contextLength: 4096,
  error: undefined,
  isServed: false,
};
const BROKEN: StoredModel = {
  ...STORED,
  id: 'org/broken:Q8_0',
  contextLength: undefined,
  error: { code: 'model_file_invalid', message: 'no magic', details: {} },
};

/** Fetches any model but the one whose name says that it fails, and removes the small one. */
const modelStore: ModelStore = {
  list: async () => [STORED, BROKEN],
  pull: async (name, onProgress) => {
    const progress = { file: 'small.gguf', fetchedBytes: 10, checkedBytes: 0, totalBytes: 20 };
    onProgress({ ...progress, phase: 'fetch', bytesPerSecond: undefined });
    onProgress({ ...progress, phase: 'check', bytesPerSecond: 10.5 });
    if (name.includes('gone')) throw new EngineError('model_not_found', `${name}: the hub has none`);
    return STORED;
  },
  remove: async (id) => {
    if (id !== STORED.id) throw new EngineError('model_not_found', `${id}: is not here`);
    return { ids: [id], freedBytes: 1000 };
  },
};

const connect = async (options: ServeOptions = {}) => CheckedClient.to((await serve(SCRIPT, options)).url, seen);

test('the server itself is as described', async () => {
  const client = await connect();
  for (const path of [
    '/health',
    '/health/ready',
    '/health/live',
    '/metrics',
    '/openapi.json',
    '/docs',
    '/',
    '/api/hello',
  ])
    await client.ask('GET', path);
  await client.ask('GET', '/', { headers: { origin: 'https://page.example' }, status: 403 });
});

test('a server that is nearly full, or drains, is as described', async () => {
  const gate = new TokenGate();
  const { url, server, engine } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
  const client = await CheckedClient.to(url, seen);
  const { stats: realStats } = engine;
  onTestFinished(() => {
    engine.stats = realStats;
  });
  engine.stats = () => ({ ...realStats.call(engine), kvBlocksTotal: 100, kvBlocksUsed: 95 });
  await client.ask('GET', '/health', { status: 503 });
  engine.stats = realStats;
  gate.open();
  await server.drain();
});

test('models are as described', async () => {
  const client = await connect({ modelStore });
  await client.ask('GET', '/v1/models?limit=2');
  await client.ask('GET', '/v1/models', { headers: { 'user-agent': 'claude-cli/2' } });
  await client.ask('GET', '/v1/models?client_version=0.1');
  await client.ask('GET', '/v1/models?limit=0', { status: 400 });
  await client.ask('GET', '/v1/models/scripted', { headers: { 'anthropic-version': '2023-06-01' } });
  await client.ask('GET', `/v1/models/${encodeURIComponent(STORED.id)}`);
  await client.ask('GET', '/v1/models/none', { status: 404 });
  await client.ask('GET', '/v1/models/none', { headers: { 'anthropic-version': '2023-06-01' }, status: 404 });
  await client.ask('POST', '/api/models/pull', { body: { model: STORED.id } });
  await client.ask('POST', '/api/models/pull', { body: { model: 'org/gone' } });
  await client.ask('POST', '/api/models/pull', { body: {}, status: 400 });
  await client.ask('POST', '/api/models/pull', { body: {}, headers: { via: '1.1 proxy' }, status: 403 });
  await client.ask('DELETE', `/api/models/${encodeURIComponent(STORED.id)}`);
  await client.ask('DELETE', '/api/models/none', { status: 404 });
  await client.ask('DELETE', '/api/models/scripted', { status: 409 });
});

test('without a store, models cannot be fetched, as described', async () => {
  const client = await connect();
  await client.ask('POST', '/api/models/pull', { body: { model: STORED.id }, status: 404 });
});

test('texts as tokens are as described', async () => {
  const client = await connect();
  await client.ask('POST', '/tokenize', { body: chat });
  const { tokens } = await client.json('POST', '/tokenize', { body: { content: 'Hé \u{1f600}' } });
  await client.ask('POST', '/tokenize', { body: { content: 'Hé \u{1f600}', with_pieces: true } });
  await client.ask('POST', '/detokenize', { body: { tokens } });
  await client.ask('POST', '/detokenize', { body: { tokens: [-1] }, status: 400 });
  await client.ask('POST', '/apply-template', { body: chat });
});

test('sessions, and what the cache did for them, are as described', async () => {
  const directory = temporaryFolder();
  const kvTiers = { ramBytes: 2 ** 20, diskBytes: 2 ** 26, directory, fsync: 'never' as const };
  const client = await connect({ engine: { kvTiers } });
  await client.ask('POST', '/v1/sessions', { status: 201 });
  await client.ask('POST', '/v1/sessions', { body: { id: 'made', pinned: true, ttlSeconds: 60 }, status: 201 });
  await client.ask('POST', '/v1/sessions', { body: { id: 'made' }, status: 409 });
  await client.ask('POST', '/v1/sessions', { body: { id: 3 }, status: 400 });
  const headers = { 'x-session-id': 's' };
  const first = await client.ask('POST', '/v1/chat/completions', {
    body: { ...chat, prompt_cache_retention: '24h' },
    headers,
  });
  const changed = [{ role: 'system', content: 'Be brief.' }, ...chat.messages];
  await client.ask('POST', '/v1/chat/completions', { body: { ...chat, messages: changed }, headers });
  await client.ask('GET', `/v1/requests/${first.headers.get('x-request-id')}/cache`);
  await client.ask('GET', '/v1/requests/none/cache', { status: 404 });
  await client.ask('GET', '/v1/sessions?limit=2');
  const { misses } = await client.json<{ misses: unknown[] }>('GET', '/v1/sessions/s');
  expect(misses).toHaveLength(2);
  await client.ask('GET', '/v1/sessions/none', { status: 404 });
  for (const name of ['save', 'pin', 'unpin']) await client.ask('POST', `/v1/sessions/s/${name}`);
  await client.ask('POST', '/v1/sessions/s/fork', { body: { id: 'forked' }, status: 201 });
  const { bytes: body } = await client.ask('POST', '/v1/sessions/s/export');
  await client.ask('POST', '/v1/sessions/import?id=imported', { body, status: 201 });
  await client.ask('POST', '/v1/sessions/also/import', { body, status: 201 });
  await client.ask('POST', '/v1/sessions/import', { body: 'no session', status: 400 });
  await client.ask('DELETE', '/v1/sessions/s?evict_only=true');
  await client.ask('DELETE', '/v1/sessions/s');
});

test('agents are as described', async () => {
  const client = await connect();
  await client.ask('POST', '/v1/agents', { body: { agent_id: 'ann' }, status: 201 });
  await client.ask('POST', '/v1/agents', { body: { agent_id: 'ann' }, status: 409 });
  await client.ask('POST', '/v1/agents/ann/generate', { body: { prompt: 'Hi', max_tokens: 2 } });
  await client.ask('POST', '/v1/agents/ann/generate', { body: {}, status: 400 });
  for (const path of ['', '/list', '/stats', '/ann']) await client.ask('GET', `/v1/agents${path}`);
  await client.ask('GET', '/v1/agents/none', { status: 404 });
  await client.ask('DELETE', '/v1/agents/ann?evict_only=true', { status: 204 });
  await client.ask('DELETE', '/v1/agents/ann', { status: 204 });
});

const PATH = '/v1/coordination/sessions';
const agents = ['Ann', 'Bob'].map((name) => ({ agent_id: name, display_name: name, lifecycle: 'permanent' }));

test('conversations of several agents are as described', async () => {
  const client = await connect();
  const { session_id: id } = await client.json('POST', PATH, { body: { agents, initial_prompt: 'Tea?' }, status: 201 });
  await client.ask('POST', PATH, { body: { agents: [] }, status: 400 });
  const whisper = { from_agent_id: 'Ann', to_agent_id: 'Bob' };
  const vote = { question: 'Which?', options: ['tea', 'coffee'] };
  for (const [name, body] of [
    ['turn', {}],
    ['round', {}],
    ['whisper', whisper],
    ['whisper', { ...whisper, content: 'Psst.' }],
    ['vote', vote],
    ['vote', { ...vote, options: ['milk', 'water'] }],
    ['vote', { question: 'Which?', agent_id: 'Bob', choice: 'milk' }],
  ] as const) {
    await client.ask('POST', `${PATH}/${id}/${name}`, { body });
    await client.ask('POST', `${PATH}/${id}/${name}`, { body: { ...body, stream: true } });
    await client.ask('POST', `${PATH}/${id}/${name}/stream`, { body });
  }
  await client.ask('POST', `${PATH}/${id}/turn`, { body: { agent_id: 'Cy' }, status: 400 });
  await client.ask('POST', `${PATH}/${id}/messages`, { body: { content: 'fail', sender_name: 'Eve' } });
  await client.ask('POST', `${PATH}/${id}/turn`, { status: 500 });
  await client.ask('POST', `${PATH}/${id}/turn/stream`);
  for (const query of ['', '?channel=all', '?channel=whisper'])
    await client.ask('GET', `${PATH}/${id}/messages${query}`);
  await client.ask('GET', `${PATH}/${id}/messages?channel=x`, { status: 400 });
  await client.ask('GET', PATH);
  await client.ask('GET', `${PATH}/${id}`);
  const following = await Promise.all(
    ['messages/stream', 'messages?stream=true'].map((path) => client.begin('GET', `${PATH}/${id}/${path}`)),
  );
  await client.ask('DELETE', `${PATH}/${id}`, { status: 204 });
  for (const end of following) expect((await end()).text).toContain('"type":"end"');
  await client.ask('GET', `${PATH}/${id}`, { status: 404 });
  await client.ask('DELETE', '/v1/coordination/caches/demo', { status: 204 });
});

test('ranked votes are as described', async () => {
  const client = await connect();
  const body = { agents, decision_mode: 'ranked_choice' };
  const { session_id: id } = await client.json('POST', PATH, { body, status: 201 });
  const vote = { question: 'Which?', options: ['tea', 'coffee'] };
  await client.ask('POST', `${PATH}/${id}/vote`, { body: vote });
  await client.ask('POST', `${PATH}/${id}/vote/stream`, { body: vote });
  await client.ask('POST', `${PATH}/${id}/vote`, { body: { ...vote, agent_id: 'Ann', ranking: ['tea', 'coffee'] } });
});

test('every answer and every kind of event that the document has was among them', async () => {
  const { document } = await connect({ modelStore });
  expectCovered(document, ['Models', 'Tokens', 'Sessions', 'Agents', 'Coordination', 'Server']);
});
