/** Sessions over HTTP: who names them, who sees them, and what answers say of the cache. */
import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { parseSse, post, type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';

const SCRIPT: Script = { replies: [{ tokens: ['Fi', 'ne'] }] };

const CONVERSATION = [
  { role: 'system', content: 'You are kind to everybody, and brief.' },
  { role: 'user', content: 'How are you today?' },
];
const LATER = [...CONVERSATION, { role: 'assistant', content: 'Fine' }, { role: 'user', content: 'And tomorrow?' }];

/** Every test speaks as someone else: engines are shared. */
let nextKey = 0;

const start = async (options: ServeOptions = {}) => {
  const [key, other] = [`key-${nextKey++}`, `key-${nextKey++}`];
  const served = await serve(SCRIPT, { apiKeys: [key, other], ...options });
  const headers = { authorization: `Bearer ${key}` };
  const request = async (method: string, path: string, body?: unknown, more: Record<string, string> = {}) => {
    const answer = await fetch(served.url + path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as Record<string, unknown>,
    };
  };
  const chat = (body: object = {}, more: Record<string, string> = {}) =>
    request('POST', '/v1/chat/completions', { model: 'scripted', messages: CONVERSATION, ...body }, more);
  const message = (body: object = {}, more: Record<string, string> = {}) =>
    request('POST', '/v1/messages', { model: 'scripted', max_tokens: 50, messages: CONVERSATION, ...body }, more);
  const ids = async () => {
    const { body } = await request('GET', '/v1/sessions');
    return (body.data as { id: string }[]).map(({ id }) => id);
  };
  return { ...served, key, other, request, chat, message, ids };
};

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('a session is named by a header, followed, and listed with what it holds', async () => {
    const { request, chat } = await start({ transport });
    const own = { role: 'system', content: `Over ${transport} you are kind to everybody.` };
    await chat({ messages: [own, ...CONVERSATION.slice(1)] }, { 'x-session-id': 'trip' });
    await chat({ messages: [own, ...LATER.slice(1)] }, { 'x-session-id': 'trip' });
    const { body } = await request('GET', '/v1/sessions');
    expect(body).toMatchObject({ object: 'list', has_more: false });
    expect(body.data).toEqual([
      {
        object: 'session',
        id: 'trip',
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
        lastUsedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
        ttlSeconds: 604_800,
        pinned: false,
        timelines: 1,
        tokens: expect.any(Number),
        savedTokens: 0,
        tiers: {
          pool: { tokens: expect.any(Number), bytes: expect.any(Number) },
          ram: { tokens: 0, bytes: 0 },
          disk: { tokens: 0, bytes: 0 },
        },
        requests: 2,
        promptTokens: expect.any(Number),
        cachedTokens: expect.any(Number),
        hitRatio: expect.any(Number),
      },
    ]);
    const one = await request('GET', '/v1/sessions/trip');
    expect(one.body).toMatchObject({ ...(body.data as object[])[0], misses: [{ cause: 'new_session' }] });
    expect(one.body.hitRatio).toBeGreaterThan(0.3);
  });

  test('sessions are made, forked, pinned and deleted', async () => {
    const { request, chat, ids } = await start({ transport });
    const made = await request('POST', '/v1/sessions', { id: 'a/b ü', ttlSeconds: 60 });
    expect([made.status, made.body]).toMatchObject([201, { id: 'a/b ü', ttlSeconds: 60, tokens: 0, hitRatio: null }]);
    const path = `/v1/sessions/${encodeURIComponent('a/b ü')}`;
    await chat({}, { 'x-session-id': 'main' });
    expect((await request('POST', path, {})).status).toBe(405);
    expect(await request('POST', '/v1/sessions/main/fork', { id: 'sub' })).toMatchObject({
      status: 201,
      body: { id: 'sub', parent: 'main', tokens: (await request('GET', '/v1/sessions/main')).body.tokens },
    });
    expect((await request('POST', '/v1/sessions/main/fork')).body.id).toMatch(/^session_/);
    expect((await request('POST', '/v1/sessions/sub/pin')).body).toMatchObject({ pinned: true, expiresAt: null });
    expect((await request('POST', '/v1/sessions/sub/unpin')).body).toMatchObject({ pinned: false });
    expect((await request('DELETE', path)).body).toEqual({ id: 'a/b ü', object: 'session', deleted: true });
    await request('DELETE', '/v1/sessions/sub');
    expect(await ids()).toHaveLength(2);
    expect((await request('POST', '/v1/sessions', {})).status).toBe(201);
  });

  test('errors have OpenAI\u2019s shape and say what to do', async () => {
    const { request } = await start({ transport });
    await request('POST', '/v1/sessions', { id: 's' });
    const shape = (code: string | null, param: string | null = null) => ({
      error: { message: expect.any(String), type: 'invalid_request_error', code, param },
    });
    expect(await request('GET', '/v1/sessions/none')).toMatchObject({
      status: 404,
      body: shape('session_not_found', 'id'),
    });
    expect(await request('GET', '/v1/requests/req_none/cache')).toMatchObject({
      status: 404,
      body: shape('request_not_found', 'id'),
    });
    expect(await request('POST', '/v1/sessions', { id: 's' })).toMatchObject({
      status: 409,
      body: shape('session_exists', 'id'),
    });
    expect(await request('POST', '/v1/sessions/s/save')).toMatchObject({
      status: 409,
      body: shape('cache_not_durable'),
    });
    expect(await request('POST', '/v1/sessions/s/export')).toMatchObject({ status: 409, body: shape('session_empty') });
    expect(await request('POST', '/v1/sessions/import', { not: 'a file' })).toMatchObject({
      status: 400,
      body: shape('session_file_refused', 'file'),
    });
    expect((await request('POST', '/v1/sessions', { ttlSeconds: 0 })).body).toMatchObject({
      error: { param: 'ttlSeconds' },
    });
    expect((await request('POST', '/v1/sessions', { id: 'x\u0007' })).status).toBe(400);
    expect((await request('POST', '/v1/sessions', { id: 'x'.repeat(513) })).status).toBe(400);
    expect((await request('GET', '/v1/sessions?limit=0')).status).toBe(400);
    expect((await request('POST', '/v1/sessions/s/unknown')).status).toBe(404);
    expect((await request('GET', '/v1/sessions/s/pin')).status).toBe(405);
    expect((await request('GET', '/v1/sessions', undefined, { authorization: 'Bearer wrong' })).status).toBe(401);
  });

  test('keys see their own sessions and requests alone', async () => {
    const { request, chat, other, ids } = await start({ transport });
    const answer = await chat({}, { 'x-session-id': 'mine' });
    const theirs = { authorization: `Bearer ${other}` };
    expect(await ids()).toEqual(['mine']);
    expect((await request('GET', '/v1/sessions', undefined, theirs)).body.data).toEqual([]);
    const path = `/v1/requests/${answer.headers.get('x-request-id')}/cache`;
    expect((await request('GET', path)).status).toBe(200);
    for (const [method, theirPath] of [
      ['GET', path],
      ['GET', '/v1/sessions/mine'],
      ['DELETE', '/v1/sessions/mine'],
      ['POST', '/v1/sessions/mine/fork'],
    ] as const)
      expect((await request(method, theirPath, undefined, theirs)).status).toBe(404);
  });

  test('a whole answer says in a header what the cache had, and again when asked', async () => {
    const { request, chat } = await start({ transport });
    const cold = await chat({ messages: [{ role: 'user', content: `${nextKey} says hello to the world` }] });
    expect(cold.headers.get('x-firstlight-cache')).toMatch(/^hit=0; computed=\d+; tier=none; reason=new$/);
    const warm = await chat({ messages: CONVERSATION }, { 'x-session-id': 's' });
    const again = await chat({ messages: LATER, n: 2 }, { 'x-session-id': 's' });
    expect(warm.status).toBe(200);
    const header = again.headers.get('x-firstlight-cache') ?? '';
    expect(header).toMatch(/^hit=\d+; computed=\d+; tier=pool; reason=none$/);
    const [hit, computed] = [...header.matchAll(/=(\d+)/g)].map(([, number]) => Number(number));
    const { usage } = again.body as { usage: { prompt_tokens: number; prompt_tokens_details: object } };
    expect(usage).toMatchObject({ prompt_tokens: hit! + computed!, prompt_tokens_details: { cached_tokens: hit } });
    const id = again.headers.get('x-request-id');
    expect((await request('GET', `/v1/requests/${id}/cache`)).body).toEqual({
      object: 'request.cache',
      requestId: id,
      session: 's',
      promptTokens: usage.prompt_tokens,
      hit,
      computed,
      tiers: { pool: hit, ram: 0, disk: 0 },
      reason: 'none',
    });
  });

  test('a session is exported as one file, which arrives whole where it is imported', async () => {
    const { url, key, chat, request } = await start({ transport });
    await chat({}, { 'x-session-id': 's' });
    const headers = { authorization: `Bearer ${key}` };
    const answer = await fetch(`${url}/v1/sessions/s/export`, { method: 'POST', headers });
    const file = new Uint8Array(await answer.arrayBuffer());
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(Number(answer.headers.get('content-length'))).toBe(file.length);
    expect(Buffer.from(file).toString('latin1', 0, 4)).toBe('FLSA');
    const send = async (path: string, body: Uint8Array) => {
      const sent = await fetch(url + path, { method: 'POST', headers, body });
      const answered = (await sent.json()) as { id?: string; error?: { code: string } };
      return [sent.status, answered.id ?? answered.error?.code];
    };
    expect(await send('/v1/sessions/import', file)).toEqual([409, 'session_exists']);
    // Its KV is still in the pool, so there is nothing to put anywhere.
    expect(await send('/v1/sessions/import?id=other', file)).toEqual([201, 'other']);
    expect(await send('/v1/sessions/third/import', file)).toEqual([201, 'third']);
    expect(await send('/v1/sessions/import', file.subarray(1))).toEqual([400, 'session_file_refused']);
    const { tokens } = (await request('GET', '/v1/sessions/s')).body;
    expect((await request('GET', '/v1/sessions/other')).body).toMatchObject({ tokens });
  });

  test('a stream says in its head what a first look found, and the truth when asked', async () => {
    const { url, key, chat, request } = await start({ transport });
    const own = [{ role: 'system', content: `${key} is who I am, and kind to everybody.` }, ...CONVERSATION];
    await chat({ messages: own });
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: 'scripted', stream: true, messages: own }),
    });
    await answer.text();
    const header = answer.headers.get('x-firstlight-cache') ?? '';
    expect(header).toMatch(/^lookup=[1-9]\d*; tier=pool$/);
    const truth = await request('GET', `/v1/requests/${answer.headers.get('x-request-id')}/cache`);
    expect(truth.body).toMatchObject({ hit: Number(/\d+/.exec(header)?.[0]), reason: 'none' });
  });

  test('pages of listed origins may read that header', async () => {
    const { url, key } = await start({ transport, corsOrigins: ['https://app.example'] });
    const { headers } = await call(`${url}/v1/sessions`, {
      origin: 'https://app.example',
      authorization: `Bearer ${key}`,
    });
    expect(headers['access-control-expose-headers']).toContain('x-firstlight-cache');
    const preflight = await call(`${url}/v1/sessions/s`, { origin: 'https://app.example' }, 'OPTIONS');
    expect(preflight.headers['access-control-allow-methods']).toContain('DELETE');
  });

  test('the agents of agent-memory are sessions', async () => {
    const { request, ids } = await start({ transport });
    expect(await request('POST', '/v1/agents', { agent_id: 'alice' })).toMatchObject({
      status: 201,
      body: { agent_id: 'alice', status: 'active', cache_size_tokens: 0 },
    });
    expect((await request('POST', '/v1/agents', {})).body.agent_id).toMatch(/^agent_[0-9a-f]{16}$/);
    const prompt = 'Once upon a time there was a fox';
    const generated = await request('POST', '/v1/agents/alice/generate', { prompt, max_tokens: 1 });
    expect(generated.body).toEqual({
      text: 'Fi',
      tokens_generated: 1,
      finish_reason: 'length',
      cache_size_tokens: prompt.length + 1,
    });
    expect((await request('GET', '/v1/agents/alice')).body).toMatchObject({ cache_size_tokens: prompt.length + 1 });
    for (const path of ['/v1/agents', '/v1/agents/list'])
      expect((await request('GET', path)).body).toMatchObject({
        total: 2,
        agents: [{ agent_id: 'alice', tokens: prompt.length + 1 }, { tokens: 0 }],
      });
    expect((await request('GET', '/v1/agents/stats')).body).toMatchObject({
      total_count: 2,
      pool_utilization_pct: expect.any(Number),
    });
    expect((await request('DELETE', '/v1/agents/alice?evict_only=true')).status).toBe(204);
    expect(await ids()).toContain('alice');
    expect((await request('DELETE', '/v1/agents/alice')).status).toBe(204);
    expect((await request('GET', '/v1/agents/alice')).status).toBe(404);
    expect((await request('POST', '/v1/agents/alice/generate', { prompt: '' })).status).toBe(400);
    // Made by its first prompt.
    expect((await request('POST', '/v1/agents/bob/generate', { prompt })).status).toBe(200);
  });
});

describe('a session is named', () => {
  test('by headers first, then by the body fields that count, in their order', async () => {
    const { chat, message, ids } = await start();
    const body = { prompt_cache_key: 'k', user: 'u' };
    await chat(body, { 'x-session-id': 'header', 'x-agent-id': 'agent' });
    await chat(body, { 'x-agent-id': 'agent' });
    await chat(body);
    await chat({ user: 'u' });
    await message({ metadata: { user_id: 'ann' } });
    await chat({ user: '' });
    expect(await ids()).toEqual(['user:ann', 'user:u', 'key:k', 'agent', 'header']);
  });

  test('by no body field that the server does not count', async () => {
    const { chat, ids } = await start({ sessionFields: ['user'] });
    await chat({ prompt_cache_key: 'k' });
    await chat({ prompt_cache_key: 'k', user: 'u' });
    expect(await ids()).toEqual(['user:u']);
  });

  test('or refused, in the dialect of the route', async () => {
    const { chat, message } = await start();
    expect(await chat({}, { 'x-session-id': 'x'.repeat(600) })).toMatchObject({
      status: 400,
      body: { error: { param: 'x-session-id', code: 'invalid_session_id' } },
    });
    expect(await chat({ user: 'line\nbreak' })).toMatchObject({ status: 400, body: { error: { param: 'user' } } });
    expect(await message({ metadata: { user_id: 'x'.repeat(600) } })).toMatchObject({
      status: 400,
      body: { type: 'error', error: { message: expect.stringContaining('512') } },
    });
  });

  test('after a user without merging what the user talks of', async () => {
    const { chat, request } = await start();
    const about = (topic: string) => [CONVERSATION[0], { role: 'user', content: topic }];
    for (const topic of ['cats', 'dogs']) await chat({ user: 'ann', messages: about(topic) });
    expect((await request('GET', '/v1/sessions/user:ann')).body).toMatchObject({ timelines: 2, requests: 2 });
  });
});

describe('usage of Anthropic answers', () => {
  interface AnthropicUsage {
    readonly input_tokens: number;
    readonly cache_creation_input_tokens: number;
    readonly cache_read_input_tokens: number;
    readonly cache_creation?: object;
  }
  const total = (usage: AnthropicUsage): number =>
    usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
  const marked = (text: string, ttl?: string) => [
    { type: 'text', text, cache_control: { type: 'ephemeral', ...(ttl === undefined ? {} : { ttl }) } },
  ];

  test('counts every prompt token once: read from the cache, put there by a mark, or neither', async () => {
    const { message } = await start();
    const text = `${nextKey}: a long text that nobody has sent before`;
    const usageOf = async (content: unknown) =>
      (await message({ messages: [{ role: 'user', content }] })).body.usage as AnthropicUsage;
    const plain = await usageOf(`plain ${text}`);
    expect(plain).toMatchObject({ cache_creation_input_tokens: 0, cache_read_input_tokens: 0 });
    const first = await usageOf(marked(`marked ${text}`));
    expect(first).toMatchObject({
      input_tokens: 1,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: first.cache_creation_input_tokens, ephemeral_1h_input_tokens: 0 },
    });
    const second = await usageOf(marked(`marked ${text}`, '1h'));
    expect(total(second)).toBe(total(first));
    expect(second.cache_read_input_tokens).toBeGreaterThan(16);
    expect(second.cache_creation).toMatchObject({ ephemeral_5m_input_tokens: 0 });
  });

  test('stands in message_start as it does in the end', async () => {
    const { url, key } = await start();
    const send = async () => {
      const answer = await fetch(`${url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: JSON.stringify({
          model: 'scripted',
          max_tokens: 9,
          stream: true,
          system: marked(`${key} wants to know it all, and says so at some length`),
          messages: [{ role: 'user', content: 'hi' }],
        }),
      });
      const events = parseSse(await answer.text()) as readonly (readonly [string, Record<string, unknown>])[];
      const start = (events[0]![1].message as { usage: AnthropicUsage }).usage;
      const end = events.find(([name]) => name === 'message_delta')?.[1].usage as AnthropicUsage;
      return { start, end, header: answer.headers.get('x-firstlight-cache') };
    };
    const cold = await send();
    // The head waits for the first event, so it has the truth.
    expect(cold.header).toMatch(/^hit=0; computed=\d+; tier=none; reason=new$/);
    const { start: begin, end, header } = await send();
    expect(header).toMatch(/^hit=[1-9]\d*; .*tier=pool/);
    expect(begin.cache_read_input_tokens).toBeGreaterThan(16);
    for (const field of ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'] as const)
      expect(end[field]).toBe(begin[field]);
    expect(total(begin)).toBe(total(cold.start));
  });

  test('marks of another kind are refused', async () => {
    const { message } = await start();
    const content = [{ type: 'text', text: 'x', cache_control: { type: 'eternal' } }];
    expect((await message({ messages: [{ role: 'user', content }] })).status).toBe(400);
    expect((await message({ cache_control: { type: 'ephemeral', ttl: '2h' } })).status).toBe(400);
  });

  test('a mark pins the session\u2019s KV for its time', async () => {
    const { message, chat, request } = await start();
    await message({ cache_control: { type: 'ephemeral', ttl: '1h' } }, { 'x-session-id': 's' });
    const pinnedFor = async (id: string) => {
      const { pinnedUntil, lastUsedAt } = (await request('GET', `/v1/sessions/${id}`)).body as Record<string, string>;
      return (Date.parse(pinnedUntil ?? '') - Date.parse(lastUsedAt ?? '')) / 1000;
    };
    expect(Math.round(await pinnedFor('s'))).toBe(3600);
    await chat({ prompt_cache_retention: '24h' }, { 'x-session-id': 'd' });
    expect(Math.round(await pinnedFor('d'))).toBe(24 * 3600);
  });
});

test('nothing of a conversation, a session\u2019s name or a key reaches the log', async () => {
  const { chat, request, log, key } = await start();
  const secret = [{ role: 'user', content: 'my secret-content is long enough to be a miss' }];
  await chat({ messages: secret }, { 'x-session-id': 'secret-name' });
  await chat(
    { messages: [{ ...secret[0], content: 'another secret-content that is as long' }] },
    { 'x-session-id': 'secret-name' },
  );
  await request('GET', '/v1/sessions/secret-name');
  await request('POST', '/v1/sessions/secret-name/fork', { id: 'secret-fork' });
  await request('GET', '/v1/sessions/secret-none');
  await chat({}, { 'x-session-id': 'secret\u0007' }).catch(() => {});
  const text = JSON.stringify(log);
  expect(text).toContain('/v1/sessions/{id}');
  expect(text).not.toMatch(/secret/);
  expect(text).not.toContain(key);
});

test('a server without keys has one owner, whatever key a client sends', async () => {
  const { url } = await serve(SCRIPT);
  await post(`${url}/v1/chat/completions`, { model: 'scripted', messages: CONVERSATION, user: 'nobody' });
  const { body } = await request(`${url}/v1/sessions/user:nobody`);
  expect(body).toContain('user:nobody');
});

const request = (url: string) => call(url, { authorization: 'Bearer any' });
