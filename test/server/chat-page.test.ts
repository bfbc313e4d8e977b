/** The chat page as files: who gets it, under which rules, and that it needs nothing from anywhere else. */
import { beforeAll, describe, expect, test } from 'vitest';
import { readPageFiles } from '../../src/server/page/files.ts';
import { ensureBuilt } from '../support/built.ts';
import { call } from '../support/call.ts';
import { CheckedClient, expectCovered } from '../support/published-document.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';

const SCRIPT: Script = { replies: [{ tokens: ['ok'] }] };
/** Chromium's and Firefox's, for a page. */
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8' };

beforeAll(ensureBuilt);

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('browsers get the page, programs the line that they have always got', async () => {
    const { url } = await serve(SCRIPT, { transport });
    const page = await call(url, BROWSER);
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.body).toMatch(/^<!doctype html>/);
    const byProgram: Record<string, string>[] = [{}, { accept: '*/*' }, { accept: 'application/json' }];
    for (const headers of byProgram) {
      const line = await call(url, headers);
      expect([line.status, line.headers['content-type'], line.body]).toEqual([
        200,
        'text/plain; charset=utf-8',
        'Firstlight serves scripted\n',
      ]);
      expect(line.headers.vary).toContain('accept');
    }
    for (const headers of [{}, BROWSER]) {
      const head = await call(url, headers, 'HEAD');
      expect([head.status, head.body]).toEqual([200, '']);
      expect(Number(head.headers['content-length'])).toBeGreaterThan(0);
    }
    expect((await call(url, BROWSER, 'POST')).status).toBe(405);
  });

  test('every file that the page and its modules name is there, with its type, and none is elsewhere', async () => {
    const { url } = await serve(SCRIPT, { transport });
    const page = await call(url, BROWSER);
    const waiting = [...page.body.matchAll(/(?:src|href)="([^"#]+)"/g)].map(
      ([, name]) => new URL(name!, `${url}/`).href,
    );
    const seen = new Set<string>();
    const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', svg: 'image/svg' };
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (seen.has(next) || next === `${url}/docs`) continue;
      seen.add(next);
      const file = await call(next);
      expect([next, file.status, file.headers['content-type']]).toEqual([
        next,
        200,
        expect.stringContaining(types[next.split('.').at(-1)!]!),
      ]);
      expect(file.body).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|import\(/);
      const imported = next.endsWith('.js') ? [...file.body.matchAll(/\bfrom '([^']+)'/g)] : [];
      for (const [, name] of imported) {
        expect(name).toMatch(/^\.\.?\//);
        waiting.push(new URL(name!, next).href);
      }
    }
    expect([...seen].every((address) => address.startsWith(`${url}/assets/`))).toBe(true);
    expect([...seen]).toContain(`${url}/assets/client/client.js`);
    expect(page.body).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//i);
  });

  test('allows the page its own modules and its own server, and nothing else', async () => {
    const { url } = await serve(SCRIPT, { transport });
    for (const path of ['/', '/assets/web/main.js']) {
      const { headers } = await call(url + path, BROWSER);
      const policy = String(headers['content-security-policy']).split('; ');
      expect(policy).toEqual(
        expect.arrayContaining([
          "default-src 'none'",
          "script-src 'self'",
          "connect-src 'self'",
          "frame-ancestors 'none'",
          "require-trusted-types-for 'script'",
        ]),
      );
      expect(policy.join()).not.toMatch(/unsafe|\*|https?:|data:/);
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
  });

  test('what a browser has is not sent again', async () => {
    const { url, log } = await serve(SCRIPT, { transport });
    const address = `${url}/assets/web/style.css`;
    const { headers } = await call(address);
    const etag = String(headers.etag);
    expect([etag, headers['cache-control']]).toEqual([expect.stringMatching(/^"[\w-]{43}"$/), 'no-cache']);
    for (const known of [etag, `"other", W/${etag}`, '*']) {
      const again = await call(address, { 'if-none-match': known });
      expect([known, again.status, again.body, again.headers.etag]).toEqual([known, 304, '', etag]);
    }
    expect((await call(address, { 'if-none-match': '"other"' })).status).toBe(200);
    expect(log).toEqual([]);
  });

  test('is open to those who have no key yet, and to this machine’s names alone', async () => {
    const { url } = await serve(SCRIPT, { transport, apiKeys: ['secret'] });
    expect((await call(url, BROWSER)).status).toBe(200);
    expect((await call(`${url}/assets/web/main.js`)).status).toBe(200);
    expect((await call(`${url}/v1/models`)).status).toBe(401);
    expect((await call(url, { ...BROWSER, host: 'evil.example' })).status).toBe(403);
    expect((await call(url, { ...BROWSER, origin: 'https://evil.example' })).status).toBe(403);
  });

  test('has its own files alone', async () => {
    const { server, log } = await serve(SCRIPT, { transport });
    for (const path of [
      '/assets/',
      '/assets/web/',
      '/assets/web/main.ts',
      '/assets/web/main.js.map',
      '/assets/web/../client/client.js',
      '/assets/web/%2e%2e/client/client.js',
      '/assets/web/..%2f..%2fpackage.json',
      '/assets/server/app.js',
      '/assets/web/constructor',
      '/assets//web/main.js',
    ]) {
      // Clients would tidy the path up.
      const raw = await RawClient.open(server.port);
      raw.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      const [, status] = await raw.until(/^HTTP\/1\.1 (\d+)/);
      expect([path, status]).toEqual([path, '404']);
      raw.socket.destroy();
    }
    const routes = log.filter(({ msg }) => msg === 'request').map(({ route }) => route);
    expect(new Set(routes)).toEqual(new Set(['/assets/{folder}/{file}']));
  });
});

test('says what to do where nothing was built', () => {
  expect(() => readPageFiles(new URL('file:///nowhere/dist/'))).toThrow(
    expect.objectContaining({ code: 'internal', message: expect.stringContaining('npm run build') }),
  );
});

test('the page and its files are as the API’s description has them', async () => {
  const client = await CheckedClient.to((await serve(SCRIPT)).url);
  await client.ask('GET', '/');
  const page = await client.ask('GET', '/', { headers: BROWSER });
  const names = [...page.text.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map(([, name]) => name!);
  for (const name of names) await client.ask('GET', `/${name}`);
  const known = { 'if-none-match': page.headers.get('etag') ?? '' };
  await client.ask('GET', '/', { headers: { ...BROWSER, ...known }, status: 304 });
  await client.ask('GET', '/assets/web/none', { status: 404 });
  expectCovered(client.document, ['Chat page']);
});
