import { gzipSync } from 'node:zlib';
/** Running the server: routes, health, metrics, logs, limits and the way it ends. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { post, type Script, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const SCRIPT: Script = { replies: [{ tokens: ['secret', ' answer', ' indeed'] }] };
const messages = [{ role: 'user', content: 'private question' }];
const chat = { model: 'scripted', messages };

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('unknown paths and wrong methods are told in the dialect of the path', async () => {
    const { url } = await serve(SCRIPT, { transport });
    const openai = await post(`${url}/v1/nothing`, {});
    expect([openai.status, openai.body]).toMatchObject([
      404,
      { error: { code: 'unknown_url', message: expect.stringContaining('POST /v1/nothing') } },
    ]);
    const anthropic = await post(`${url}/v1/messages/batches`, {});
    expect([anthropic.status, anthropic.body]).toMatchObject([
      404,
      { type: 'error', error: { type: 'not_found_error' } },
    ]);
    const get = await fetch(`${url}/v1/chat/completions`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    expect(await get.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
    expect((await fetch(`${url}/v1/models`, { method: 'DELETE' })).headers.get('allow')).toBe('GET, HEAD, OPTIONS');
  });

  test('every answer carries its request id, and OpenAI answers their headers', async () => {
    const { url } = await serve(SCRIPT, { transport });
    for (const [path, init] of [
      ['/health', {}],
      ['/nothing', {}],
      ['/v1/chat/completions', { method: 'POST', body: '{' }],
      ['/v1/chat/completions', { method: 'POST', body: JSON.stringify(chat) }],
    ] as const) {
      const { headers } = await fetch(url + path, init);
      expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
      expect(headers.get('request-id')).toBe(headers.get('x-request-id'));
    }
    const { headers } = await post(`${url}/v1/chat/completions`, chat);
    expect(headers.get('openai-version')).toBe('2020-10-01');
    expect(Number(headers.get('openai-processing-ms'))).toBeGreaterThanOrEqual(0);
    for (const path of ['/v1/models', '/v1/responses/resp_none']) {
      const answer = await fetch(url + path);
      expect([answer.headers.get('openai-version'), answer.headers.get('openai-processing-ms')]).toEqual([
        '2020-10-01',
        expect.stringMatching(/^\d+$/),
      ]);
      expect(
        (await fetch(url + path, { headers: { 'anthropic-version': '2023-06-01' } })).headers.get('openai-version'),
      ).toBeNull();
    }
  });

  test('openai-processing-ms counts the making of an answer that is not streamed', async () => {
    const gate = new TokenGate();
    const { url, engine } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
    const answer = post(`${url}/v1/chat/completions`, chat);
    await until(() => engine.stats().running === 1);
    const heldMs = 40;
    await new Promise((resolve) => setTimeout(resolve, heldMs));
    gate.open();
    // A timer may fire a little early, and the header is a whole number.
    expect(Number((await answer).headers.get('openai-processing-ms'))).toBeGreaterThanOrEqual(heldMs - 2);
  });

  test('health turns degraded above nine tenths of the KV pool', async () => {
    const { url, engine } = await serve(SCRIPT, { transport });
    const { stats: realStats } = engine;
    onTestFinished(() => {
      engine.stats = realStats;
    });
    const stats = engine.stats();
    const health = async (path: string) => {
      const answer = await fetch(url + path);
      return [answer.status, ((await answer.json()) as { status: string }).status];
    };
    engine.stats = () => ({ ...stats, kvBlocksTotal: 100, kvBlocksUsed: 90, kvBlocksCached: 10 });
    expect(await health('/health')).toEqual([200, 'ok']);
    engine.stats = () => ({ ...stats, kvBlocksTotal: 100, kvBlocksUsed: 91 });
    expect(await health('/health')).toEqual([503, 'degraded']);
    expect(await health('/health/ready')).toEqual([503, 'degraded']);
    expect(await health('/health/live')).toEqual([200, 'ok']);
  });

  test('draining lets streams end, refuses what comes anew, then closes', async () => {
    const gate = new TokenGate();
    const { url, server } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
    gate.allow(1);
    const kept = await RawClient.open(server.port);
    kept.send('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await kept.until(/"status":"ok"/);
    const streaming = await RawClient.open(server.port);
    const json = JSON.stringify({ ...chat, stream: true });
    const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${json.length}\r\n\r\n${json}`;
    streaming.send(request);
    await streaming.until(/"content":"secret"/);
    const drained = server.drain();
    kept.send(request);
    await kept.until(/HTTP\/1\.1 503 [\s\S]*retry-after: \d+[\s\S]*"code":"shutting_down"/i);
    kept.send('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await kept.until(/HTTP\/1\.1 503 [\s\S]*"status":"draining"/);
    kept.send('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await kept.until(/\r\n\r\n\{"status":"ok"\}$/);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    gate.open();
    await drained;
    await streaming.closed();
    expect(streaming.received).toContain('data: [DONE]\n\n');
    await kept.closed();
  });

  test('at the limit of requests in flight, answers 429 and 529 with Retry-After, and recovers', async () => {
    const gate = new TokenGate();
    const { url, engine } = await serve(SCRIPT, { transport, maxConcurrentRequests: 1, beforeToken: gate.beforeToken });
    const running = post(`${url}/v1/chat/completions`, chat);
    await until(() => engine.stats().running === 1);
    const openai = await post(`${url}/v1/chat/completions`, chat);
    expect([openai.status, openai.headers.get('retry-after')]).toEqual([429, '1']);
    const anthropic = await post(`${url}/v1/messages`, { ...chat, max_tokens: 5 });
    expect([anthropic.status, anthropic.headers.get('retry-after')]).toEqual([529, '1']);
    gate.open();
    expect((await running).status).toBe(200);
    expect((await post(`${url}/v1/chat/completions`, chat)).status).toBe(200);
  });

  test('bodies that are too much together are refused with Retry-After, and one alone never is', async () => {
    const gate = new TokenGate();
    const { url, engine } = await serve(SCRIPT, { transport, heldBodiesBytes: 1000, beforeToken: gate.beforeToken });
    const large = { ...chat, metadata: { note: 'x'.repeat(1500) } };
    const running = post(`${url}/v1/chat/completions`, large);
    await until(() => engine.stats().running === 1);
    const beside = await post(`${url}/v1/chat/completions`, large);
    expect([beside.status, beside.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await post(`${url}/tokenize`, { content: 'x'.repeat(1500) })).status).toBe(429);
    expect((await post(`${url}/v1/messages`, { ...chat, max_tokens: 5 })).status).toBe(529);
    gate.open();
    expect((await running).status).toBe(200);
    const compressed = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: gzipSync(JSON.stringify(large)),
    });
    expect(compressed.status).toBe(200);
  });

  test('a body beyond the limit is refused, compressed or not', async () => {
    const { url } = await serve(SCRIPT, { transport, bodyLimitBytes: 2000 });
    const { status, body } = await post(`${url}/v1/messages`, { ...chat, max_tokens: 5, system: 'x'.repeat(3000) });
    expect([status, body]).toMatchObject([
      413,
      { error: { type: 'request_too_large', message: expect.stringContaining('2000') } },
    ]);
  });

  test('one line a request says what happened and nothing of what was said', async () => {
    const { url, log } = await serve(SCRIPT, { transport, apiKeys: ['top-key'] });
    const headers = { authorization: 'Bearer top-key' };
    await post(`${url}/v1/chat/completions?q=query-text`, chat, headers);
    await post(`${url}/v1/chat/completions`, { ...chat, temperature: 9 }, headers);
    await post(`${url}/v1/messages`, '{"broken', { 'x-api-key': 'wrong-key' });
    await until(() => log.length >= 3);
    expect(log).toMatchObject([
      {
        method: 'POST',
        route: '/v1/chat/completions',
        status: 200,
        completionTokens: 3,
        promptTokens: expect.any(Number),
        ms: expect.any(Number),
        requestId: expect.stringMatching(/^req_/),
      },
      { route: '/v1/chat/completions', status: 400 },
      { route: '/v1/messages', status: 401 },
    ]);
    expect(JSON.stringify(log)).not.toMatch(/private|secret|key|query|broken/);
  });

  test('a method that nobody knows is called other in the log and the metrics', async () => {
    const { server, url, log } = await serve(SCRIPT, { transport });
    const raw = await RawClient.open(server.port);
    raw.send('PROPFIND /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await raw.until(/^HTTP\/1\.1 405 /);
    await until(() => log.length >= 1);
    expect(log[0]).toMatchObject({ method: 'other', route: '/health', status: 405 });
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/method="other",status="405"\} 1/);
  });

  test('metrics count requests and tokens, and time the first and the next', async () => {
    const { url } = await serve(SCRIPT, { transport });
    await post(`${url}/v1/chat/completions`, { ...chat, stream: false });
    await post(`${url}/v1/messages`, {});
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    const value = (name: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1],
      );
    expect(value('firstlight_http_requests_total{route="/v1/chat/completions",method="POST",status="200"}')).toBe(1);
    expect(value('firstlight_http_requests_total{route="/v1/messages",method="POST",status="400"}')).toBe(1);
    expect(value('firstlight_time_to_first_token_seconds_count')).toBe(1);
    expect(value('firstlight_inter_token_latency_seconds_count')).toBe(2);
    expect(value('firstlight_generation_tokens_per_second_count')).toBe(1);
    expect(value('firstlight_requests_running')).toBe(0);
    expect(value('firstlight_requests_waiting')).toBe(0);
    expect(value('firstlight_kv_blocks_total')).toBeGreaterThan(0);
    expect(value('firstlight_kv_blocks_used')).toBe(0);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    for (const name of ['prompt', 'cached', 'completion'])
      expect(text).toContain(`# TYPE firstlight_${name}_tokens_total counter`);
  });
});

test('the body of /v1/models serves both vendors', async () => {
  const { url } = await serve(SCRIPT);
  const list = (await (await fetch(`${url}/v1/models?limit=1000`)).json()) as { data: object[] };
  expect(list).toMatchObject({ object: 'list', has_more: false, first_id: 'scripted', last_id: 'scripted' });
  expect(list.data).toEqual([
    {
      id: 'scripted',
      object: 'model',
      type: 'model',
      created: expect.any(Number),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      owned_by: 'firstlight',
      display_name: 'scripted',
      max_input_tokens: 8192,
      max_tokens: 8192,
      capabilities: null,
      deprecated_at: null,
      lifecycle: 'active',
      line: null,
      retires_at: null,
      context_length: 8192,
      tasks: ['generate', 'embed'],
      embedding: { size: expect.any(Number), pooling: 'mean' },
      served: true,
    },
  ]);
  expect((await fetch(`${url}/v1/models/%E0%A4%A`)).status).toBe(404);
});

test('a port that is taken is refused with the remedy', async () => {
  const { server } = await serve(SCRIPT);
  await expect(serve(SCRIPT, { port: server.port })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('--port'),
  });
});
