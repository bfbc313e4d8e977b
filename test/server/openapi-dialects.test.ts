/** What the dialects answer and stream, held to the description that the same server publishes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { GenerationRequest } from '../../src/runtime/api.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { createServer } from '../../src/server/app.ts';
import { CheckedClient, expectCovered } from '../support/published-document.ts';
import { type Script, serve } from '../support/serve.ts';
import { writeTinyEncoder } from '../support/tiny-encoders.ts';
import { TokenGate } from '../support/token-gate.ts';
import { call, finish, lastText, say, serveTold, type Told, think } from '../support/told-engine.ts';
import { until } from '../support/until.ts';

const seen = new Set<string>();
const WARNING: Told = { type: 'warning', code: 'malformed_tool_call', message: 'the call has no name' };
const CALLS = [...call(0, 'weather', ['{"city": ', '"Oslo"}']), ...call(1, 'files__patch', ['{"input": "+1"}'])];

const tell = ({ prompt, sampling }: GenerationRequest): readonly (Told | Error)[] => {
  const text = lastText(prompt);
  if (text.includes('all')) return [think('Hm. '), think('Well.'), say('I look: '), ...CALLS, finish('tool_calls')];
  if (text.includes('broken')) return [WARNING, say('<tool_call>{'), finish()];
  if (text.includes('cut')) return [...call(0, 'weather', ['{"ci']).slice(0, 2), finish('length')];
  if (text.includes('fail')) return [say('one'), new EngineError('device_lost', 'the GPU is gone')];
  if (text.includes('boom')) return [new Error('boom')];
  return sampling.topLogprobs === undefined
    ? [say('Fi'), say('ne.'), finish()]
    : [{ type: 'text', text: 'Fi', logprobs: [chosen('Fi')] }, finish()];
};

const chosen = (text: string) => ({
  tokenId: 1,
  bytes: Buffer.from(text),
  logprob: -0.5,
  top: [logprob(text), logprob('No')],
});
const logprob = (text: string) => ({ tokenId: 1, bytes: Buffer.from(text), logprob: Number.NEGATIVE_INFINITY });

const connect = async () => CheckedClient.to((await serveTold(tell)).url, seen);

const SCRIPT: Script = {
  replies: [
    { when: 'many', tokens: Array.from({ length: 40 }, (_, index) => ` ${index}`) },
    { tokens: ['Fi', 'ne', '.'] },
  ],
};
const model = 'scripted';
const ask = (content: string) => [{ role: 'user', content }];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

const CHAT_TOOLS = [
  { type: 'function', function: { name: 'weather', parameters } },
  { type: 'custom', custom: { name: 'files__patch' } },
];
const MESSAGE_TOOLS = [{ name: 'weather', input_schema: parameters }];
const RESPONSE_TOOLS = [
  { type: 'function', name: 'weather', parameters },
  { type: 'namespace', name: 'files', tools: [{ type: 'custom', name: 'patch', format: { type: 'text' } }] },
  { type: 'web_search' },
];

/** What each route is asked: whole and streamed. */
const ASKED: readonly (readonly [path: string, body: object])[] = [
  ['/v1/chat/completions', { messages: ask('Hi'), n: 2 }],
  [
    '/v1/chat/completions',
    { messages: ask('Hi'), logprobs: true, top_logprobs: 2, stream_options: { include_usage: true } },
  ],
  ['/v1/chat/completions', { messages: ask('all'), tools: CHAT_TOOLS }],
  ['/v1/chat/completions', { messages: ask('all'), functions: [{ name: 'weather', parameters }] }],
  ['/v1/chat/completions', { messages: ask('broken'), tools: CHAT_TOOLS }],
  ['/v1/chat/completions', { messages: ask('cut'), tools: CHAT_TOOLS }],
  ['/v1/completions', { prompt: ['Hi', 'Ho'], logprobs: 1, stream_options: { include_usage: true } }],
  ['/v1/completions', { prompt: 'Hi', echo: true }],
  ['/v1/completions', { prompt: 'Hi', echo: true, logprobs: 1 }],
  ['/v1/messages', { max_tokens: 50, messages: ask('Hi'), stop_sequences: ['x'] }],
  [
    '/v1/messages',
    { max_tokens: 50, messages: ask('all'), tools: MESSAGE_TOOLS, cache_control: { type: 'ephemeral' } },
  ],
  ['/v1/messages', { max_tokens: 50, messages: ask('broken'), tools: MESSAGE_TOOLS }],
  ['/v1/messages', { max_tokens: 9, messages: ask('cut'), tools: MESSAGE_TOOLS }],
  ['/v1/responses', { input: 'Hi', metadata: { a: 'b' }, user: 'ann', store: false }],
  ['/v1/responses', { input: 'Hi', background: true }],
  ['/v1/responses', { input: 'Hi', include: ['message.output_text.logprobs'], top_logprobs: 2 }],
  [
    '/v1/responses',
    {
      input: ask('all'),
      tools: RESPONSE_TOOLS,
      tool_choice: { type: 'function', name: 'weather' },
      instructions: 'Be brief.',
      reasoning: { effort: 'low', summary: 'auto' },
      include: ['reasoning.encrypted_content'],
      text: { format: { type: 'json_schema', name: 'city', schema: parameters }, verbosity: 'low' },
    },
  ],
  ['/v1/responses', { input: 'broken', tools: RESPONSE_TOOLS }],
  ['/v1/responses', { input: 'cut', tools: RESPONSE_TOOLS, truncation: 'auto', max_output_tokens: 9 }],
];

test.each(ASKED)('%s answers as described, whole and streamed (%#)', async (path, body) => {
  const client = await connect();
  await client.ask('POST', path, { body: { model, ...body } });
  await client.ask('POST', path, { body: { model, ...body, stream: true } });
});

test('bodies that are answered are bodies that the document takes', async () => {
  const { document } = await connect();
  for (const [path, body] of ASKED) {
    const form = document.operation('POST', path)?.requestBody?.content['application/json'];
    document.validateLoosely(form?.schema?.$ref, { model, ...body }, path);
  }
});

test('failures are in the envelope of the dialect, before the first byte and in the stream', async () => {
  const client = await connect();
  for (const [path, body, busy] of [
    ['/v1/chat/completions', { messages: ask('fail') }, 503],
    ['/v1/completions', { prompt: 'fail' }, 503],
    ['/v1/messages', { max_tokens: 50, messages: ask('fail') }, 503],
    ['/v1/responses', { input: 'fail' }, 503],
  ] as const) {
    await client.ask('POST', path, { body: { model, ...body }, status: busy });
    await client.ask('POST', path, { body: { model, ...body, stream: true } });
    await client.ask('POST', path, { body: { ...body, model: 'other' }, status: 404 });
    await client.ask('POST', path, { body: '{', status: 400 });
    await client.ask('POST', path, { body: { model, ...body, temperature: 9 }, status: 400 });
    await client.ask('POST', path, { body: 'x', headers: { 'content-encoding': 'unknown' }, status: 415 });
    await client.ask('POST', path, { body: '{}', headers: { origin: 'https://page.example' }, status: 403 });
  }
  await client.ask('POST', '/v1/chat/completions', { body: { model, messages: ask('boom') }, status: 500 });
  await client.ask('POST', '/v1/messages', {
    body: { model, max_tokens: 5, messages: ask('Hi'), thread: { id: 't' } },
    status: 400,
  });
  await client.ask('POST', '/v1/responses/compact', { body: {}, status: 400 });
});

test('keys, bodies beyond the limit and a full server are refused as described', async () => {
  const gate = new TokenGate();
  const { url, engine } = await serve(SCRIPT, {
    apiKeys: ['key'],
    bodyLimitBytes: 500,
    maxConcurrentRequests: 1,
    beforeToken: gate.beforeToken,
  });
  const client = await CheckedClient.to(url, seen);
  const headers = { authorization: 'Bearer key' };
  const running = client.ask('POST', '/v1/chat/completions', { body: { model, messages: ask('Hi') }, headers });
  await until(() => engine.stats().running === 1);
  for (const [path, body, full] of [
    ['/v1/chat/completions', { messages: ask('Hi') }, 429],
    ['/v1/messages', { max_tokens: 50, messages: ask('Hi') }, 529],
    ['/v1/responses', { input: 'Hi' }, 429],
    ['/tokenize', { content: 'Hi' }, 429],
  ] as const) {
    await client.ask('POST', path, { body: { model, ...body }, status: 401 });
    const { headers: answered } = await client.ask('POST', path, { body: { model, ...body }, headers, status: full });
    expect(answered.get('retry-after')).toMatch(/^\d+$/);
  }
  gate.open();
  await running;
  await client.ask('POST', '/v1/messages', { body: { model, system: 'x'.repeat(600) }, headers, status: 413 });
});

test('counts, embeddings and stored responses are as described', async () => {
  const { url } = await serve(SCRIPT);
  const client = await CheckedClient.to(url, seen);
  await client.ask('POST', '/v1/messages/count_tokens', { body: { model, messages: ask('Hi') } });
  await client.ask('POST', '/v1/responses/input_tokens', { body: { model, input: 'Hi' } });
  const echo = { model, prompt: 'Hi', echo: true, logprobs: 2, max_tokens: 2 };
  await client.ask('POST', '/v1/completions', { body: echo });
  await client.ask('POST', '/v1/completions', { body: { ...echo, stream: true } });
  const input = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: [{ type: 'output_text', text: 'Ho' }] },
    { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c', output: 'done' },
  ];
  const { id } = await client.json('POST', '/v1/responses', { body: { model, input } });
  await client.ask('GET', `/v1/responses/${id}`);
  await client.ask('GET', `/v1/responses/${id}?stream=true`);
  await client.ask('GET', `/v1/responses/${id}?stream=true&starting_after=x`, { status: 400 });
  await client.ask('GET', `/v1/responses/${id}/input_items?limit=2&order=asc`);
  await client.ask('GET', `/v1/responses/${id}/input_items?limit=0`, { status: 400 });
  await client.ask('POST', `/v1/responses/${id}/cancel`, { status: 400 });
  await client.ask('DELETE', `/v1/responses/${id}`);
  await client.ask('GET', `/v1/responses/${id}`, { status: 404 });
  await client.ask('GET', `/v1/responses/${id}`, { headers: { 'anthropic-version': '2023-06-01' }, status: 404 });
});

/** Streams while no token comes, until `pattern` is there; then goes on, and returns the whole text. */
const streamOf = async (url: string, path: string, body: object, pattern: RegExp, next: (text: string) => unknown) => {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify({ model, ...body, stream: true }) });
  let text = '';
  let isWaiting = true;
  for await (const piece of answer.body as ReadableStream<Uint8Array>) {
    text += Buffer.from(piece);
    if (!isWaiting || !pattern.test(text)) continue;
    isWaiting = false;
    await next(text);
  }
  return text;
};

test('what keeps a silent stream alive is as described', async () => {
  const gate = new TokenGate();
  const { url } = await serve(SCRIPT, { beforeToken: gate.beforeToken, pingIntervalMs: 10 });
  const client = await CheckedClient.to(url, seen);
  const text = await streamOf(url, '/v1/responses', { input: 'Hi' }, /keepalive/, () => gate.open());
  client.document.checkEvents('#/components/schemas/ResponseStreamEvent', text);
});

test('a response that is being made, and its end when it is cancelled, are as described', async () => {
  const gate = new TokenGate();
  const { url } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
  const client = await CheckedClient.to(url, seen);
  gate.allow(1);
  const text = await streamOf(url, '/v1/responses', { input: 'Hi' }, /output_text.delta/, async (begun) => {
    const id = /resp_[0-9a-f]{32}/.exec(begun)?.[0];
    await client.ask('GET', `/v1/responses/${id}`);
    await client.ask('POST', `/v1/responses/${id}/cancel`);
    gate.open();
  });
  client.document.checkEvents('#/components/schemas/ResponseStreamEvent', text);
});

test('a stream that can be taken up again is as described', async () => {
  const { url } = await serve(SCRIPT);
  const client = await CheckedClient.to(url, seen);
  const headers = { 'x-firstlight-resume': '1', 'x-session-id': 's' };
  for (const [path, body] of [
    ['/v1/chat/completions', { messages: ask('Hi') }],
    ['/v1/completions', { prompt: 'Hi' }],
    ['/v1/messages', { max_tokens: 50, messages: ask('Hi') }],
    ['/v1/responses', { input: 'Hi' }],
  ] as const) {
    const answer = await client.ask('POST', path, { body: { model, ...body, stream: true }, headers });
    const stream = `/v1/streams/${answer.headers.get('x-firstlight-stream')}`;
    await client.ask('GET', stream, { headers: { 'last-event-id': '1' } });
    await client.ask('GET', stream, { headers: { 'last-event-id': 'x' }, status: 400 });
    await client.ask('DELETE', stream, { status: 204 });
    await client.ask('GET', stream, { status: 404 });
  }
});

/** Opens the socket that an operation describes, and holds each of its frames to the description. */
const openSocket = async (client: CheckedClient, path: string, headers: Record<string, string> = {}) => {
  const operation = client.document.operation('GET', path)!;
  const { client: sent, server: received } = operation['x-firstlight-websocket']!;
  const socket = new WebSocket(client.url.replace('http:', 'ws:') + path, { headers });
  onTestFinished(() => socket.terminate());
  const types: string[] = [];
  const faults: unknown[] = [];
  socket.on('message', (bytes: Buffer) => {
    const frame = JSON.parse(bytes.toString()) as { readonly type: string };
    try {
      client.document.validate(received.$ref, frame, `${path} frame`);
    } catch (error) {
      faults.push(error);
    }
    types.push(frame.type);
    seen.add(`event ${frame.type}`);
  });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  seen.add(`${operation.operationId} 101`);
  return {
    types,
    faults,
    send: (frame: object) => {
      client.document.validateLoosely(sent.$ref, frame, `${path} frame`);
      socket.send(JSON.stringify(frame));
    },
    sendText: (text: string) => socket.send(text),
  };
};

test.each([
  ['/v1/chat/completions', { model, messages: ask('all'), tools: CHAT_TOOLS }],
  ['/v1/messages', { model, max_tokens: 50, messages: ask('all'), tools: MESSAGE_TOOLS }],
] as const)('the frames of our own sockets are as described: %s', async (path, body) => {
  const client = await connect();
  const { send, sendText, types, faults } = await openSocket(client, path);
  send({ type: 'ping' });
  send({ type: 'request', id: 'a', body });
  send({ type: 'request', id: 'b', body: { ...body, messages: ask('fail') } });
  send({ type: 'cancel', id: 'none' });
  sendText('{}');
  await until(() => types.filter((type) => type === 'done' || type === 'error').length === 3);
  expect(faults).toEqual([]);
  expect(new Set(types)).toEqual(new Set(['pong', 'event', 'done', 'error']));
});

test('the frames of the Responses socket are as described', async () => {
  const client = await connect();
  const { send, sendText, types, faults } = await openSocket(client, '/v1/responses');
  const reasoning = { summary: 'auto' };
  const create = (input: string, more: object = {}) =>
    send({ type: 'response.create', model, input, tools: RESPONSE_TOOLS, reasoning, ...more });
  create('all', { stream_id: 'lane' });
  create('fail');
  create('cut');
  sendText('{"type": "response.create", "input": 3}');
  await until(() => types.filter((type) => /completed|failed|incomplete|error/.test(type)).length === 4);
  expect(faults).toEqual([]);
});

test('a handshake that is refused, and a GET that is none, are answered as described', async () => {
  const { url } = await serve(SCRIPT, { apiKeys: ['key'] });
  const client = await CheckedClient.to(url, seen);
  for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/responses']) {
    await client.ask('GET', path, { headers: { authorization: 'Bearer key' }, status: 405 });
    const refused = new Promise((resolve) => {
      const socket = new WebSocket(url.replace('http:', 'ws:') + path);
      socket.on('error', () => socket.terminate());
      socket.once('unexpected-response', (_request, { statusCode, headers }) => resolve([statusCode, headers]));
    });
    expect(await refused).toMatchObject([401, { 'content-type': 'application/json' }]);
  }
});

test('embeddings are as described, as floats and as base64', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'described-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'tiny.gguf');
  writeTinyEncoder(path, 'nomic-bert', { weights: 'Q8_0' });
  const engine = await createEngine({ model: path, numWorkerThreads: 1, activations: 'f32' });
  const server = await createServer(engine, { port: 0, logger: pino({ level: 'silent' }) });
  onTestFinished(async () => {
    await server.close();
    await engine.close();
  });
  const client = await CheckedClient.to(server.url, seen);
  for (const encoding_format of ['float', 'base64'])
    await client.ask('POST', '/v1/embeddings', { body: { model: 'tiny', input: ['a', 'b'], encoding_format } });
  await client.ask('POST', '/v1/embeddings', { body: { model: 'tiny', input: [] }, status: 400 });
  await client.ask('POST', '/v1/chat/completions', { body: { model: 'tiny', messages: ask('Hi') }, status: 400 });
  await client.ask('GET', '/v1/models');
});

test('every answer and every kind of event that the document has was among them', async () => {
  const { document } = await connect();
  expectCovered(document, ['OpenAI', 'Anthropic', 'Streams', 'WebSockets']);
});
