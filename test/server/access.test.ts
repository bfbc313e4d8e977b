/** Who may call, from where, and what a web page may do. */
import { describe, expect, test } from 'vitest';
import type { EngineError } from '../../src/runtime/errors.ts';
import { Access, isLoopback } from '../../src/server/auth.ts';
import type { RequestHead } from '../../src/server/http.ts';
import { call } from '../support/call.ts';
import { type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';

const SCRIPT: Script = { replies: [{ tokens: ['ok'] }] };

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('a server with keys asks for one of them, as Bearer or x-api-key', async () => {
    const { url } = await serve(SCRIPT, { transport, apiKeys: ['first', 'second'] });
    const status = async (headers: Record<string, string>) => (await call(`${url}/v1/models`, headers)).status;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer wrong' })).toBe(401);
    expect(await status({ authorization: 'Bearer ' })).toBe(401);
    expect(await status({ authorization: 'Basic first' })).toBe(401);
    expect(await status({ authorization: 'Bearer first' })).toBe(200);
    expect(await status({ authorization: 'bearer second' })).toBe(200);
    expect(await status({ 'x-api-key': 'second' })).toBe(200);
    expect(await status({ 'x-api-key': 'second', authorization: 'Bearer wrong' })).toBe(200);
    expect(await status({ 'x-api-key': 'wrong', authorization: 'Bearer first' })).toBe(401);
  });

  test('a missing key is told in the dialect of the route', async () => {
    const { url } = await serve(SCRIPT, { transport, apiKeys: ['first'] });
    const openai = await call(`${url}/v1/chat/completions`, {}, 'POST');
    expect([openai.status, JSON.parse(openai.body)]).toMatchObject([
      401,
      { error: { code: 'invalid_api_key', param: null } },
    ]);
    const anthropic = await call(`${url}/v1/messages`, {}, 'POST');
    expect([anthropic.status, JSON.parse(anthropic.body)]).toMatchObject([
      401,
      { type: 'error', error: { type: 'authentication_error' } },
    ]);
    const listing = await call(`${url}/v1/models`, { 'anthropic-version': '2023-06-01' });
    expect(JSON.parse(listing.body)).toMatchObject({ error: { type: 'authentication_error' } });
  });

  test('health, metrics and greetings need no key on this machine', async () => {
    const { url } = await serve(SCRIPT, { transport, apiKeys: ['first'] });
    for (const path of ['/health', '/health/live', '/health/ready', '/metrics', '/', '/api/hello']) {
      expect([path, (await call(url + path)).status]).toEqual([path, 200]);
      expect([path, (await call(url + path, {}, 'HEAD')).status]).toEqual([path, 200]);
    }
  });

  test('a server on loopback answers only to loopback names', async () => {
    const { url, server } = await serve(SCRIPT, { transport });
    const status = async (host: string) => (await call(`${url}/v1/models`, { host })).status;
    for (const host of ['localhost', `127.0.0.1:${server.port}`, '[::1]:80', 'LOCALHOST:1'])
      expect(await status(host)).toBe(200);
    for (const host of ['evil.example', 'evil.example:8080', 'localhost.evil.example', '10.0.0.1'])
      expect(await status(host)).toBe(403);
  });

  test('pages of listed origins may call, others may not', async () => {
    const { url, server } = await serve(SCRIPT, { transport, corsOrigins: ['https://app.example'] });
    const get = (origin: string) => call(`${url}/v1/models`, { origin });
    const listed = await get('https://app.example');
    expect([listed.status, listed.headers['access-control-allow-origin'], listed.headers.vary]).toEqual([
      200,
      'https://app.example',
      'origin',
    ]);
    for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example', 'http://app.example']) {
      const refused = await get(origin);
      expect([origin, refused.status, refused.headers['access-control-allow-origin']]).toEqual([
        origin,
        403,
        undefined,
      ]);
    }
    expect((await get(`http://127.0.0.1:${server.port}`)).status).toBe(200);
  });

  test('a preflight reflects the headers that a listed page wants to send', async () => {
    const { url } = await serve(SCRIPT, { transport, corsOrigins: ['https://app.example'], apiKeys: ['first'] });
    const preflight = (origin: string) =>
      call(
        `${url}/v1/chat/completions`,
        {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, x-stainless-os',
        },
        'OPTIONS',
      );
    const allowed = await preflight('https://app.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-headers': 'authorization, x-stainless-os',
      'access-control-allow-methods': expect.stringContaining('POST'),
    });
    expect((await preflight('https://evil.example')).status).toBe(403);
    const refusedKey = await call(`${url}/v1/models`, { origin: 'https://app.example' });
    expect([refusedKey.status, refusedKey.headers['access-control-allow-origin']]).toEqual([
      401,
      'https://app.example',
    ]);
  });
});

test('an address that others can reach is refused without a key', () => {
  const access =
    (host: string, rest: { apiKeys?: string[]; insecure?: boolean } = {}) =>
    () =>
      new Access({ host, apiKeys: [], insecure: false, corsOrigins: [], ...rest });
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org']) {
    const refused = access(host);
    expect(refused).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringMatching(/--api-key.*--insecure/),
      } satisfies Partial<Record<keyof EngineError, unknown>>),
    );
    expect(access(host, { apiKeys: ['k'] })).not.toThrow();
    expect(access(host, { insecure: true })).not.toThrow();
  }
  for (const host of ['127.0.0.1', '::1', 'localhost', '127.9.9.9']) expect(access(host)).not.toThrow();
});

test('pages of a server that is open to all may call it by its address, and by a name only where it is listed', () => {
  const refusal = (host: string, origin: string, corsOrigins: string[] = []) => {
    const access = new Access({ host: '0.0.0.0', apiKeys: [], insecure: true, corsOrigins });
    const headers = new Map(Object.entries({ host, origin }));
    return () => access.checkHostAndOrigin({ headers } as unknown as RequestHead);
  };
  for (const host of ['192.168.1.5:8080', '[fd00::5]:8080', '127.0.0.1']) {
    expect(refusal(host, `http://${host}`)).not.toThrow();
    expect(refusal(host, 'http://evil.example')).toThrow(/--cors-origin/);
  }
  expect(refusal('rebound.example:8080', 'http://rebound.example:8080')).toThrow(/--cors-origin/);
  expect(refusal('1.2.3.4.example', 'http://1.2.3.4.example')).toThrow(/--cors-origin/);
  expect(refusal('box.example', 'http://box.example', ['http://box.example'])).not.toThrow();
});

test('tells loopback addresses from others in every way they are written', () => {
  for (const address of [
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '[::1]',
    '0000:0000:0000:0000:0000:0000:0000:0001',
    '::ffff:127.0.0.1',
    'localhost',
  ])
    expect([address, isLoopback(address)]).toEqual([address, true]);
  for (const address of [
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '::2',
    '::ffff:10.0.0.1',
    'localhost.example',
    '',
    '127.0.0.1.example',
  ])
    expect([address, isLoopback(address)]).toEqual([address, false]);
});
