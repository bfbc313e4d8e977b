/** The conformance suite of the transport contract (src/server/http.ts): every adapter keeps the same promises. */

import * as zlib from 'node:zlib';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { EngineError } from '../../src/runtime/errors.ts';
import { readBody } from '../../src/server/body.ts';
import type { RequestListener, Transport } from '../../src/server/http.ts';
import { createTransport } from '../../src/server/transports/index.ts';
import { RawClient } from '../support/raw-client.ts';
import { TRANSPORTS } from '../support/transports.ts';

const BODY_LIMIT_BYTES = 100_000;
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** Answers with what it was sent, or with the error's code as status text. */
const echo: RequestListener = (request, response) => {
  readBody(request, BODY_LIMIT_BYTES).then(
    (body) => {
      response.head(200, { 'x-method': request.method, 'x-path': request.path });
      response.end(Buffer.from(body).toString());
    },
    (error: EngineError) => {
      response.head(error.code === 'request_too_large' ? 413 : error.code === 'unsupported_media_type' ? 415 : 400, {});
      response.end(error.code);
    },
  );
};

describe.each(TRANSPORTS)('transport %s', (name) => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo();
  });

  const listen = async (listener: RequestListener): Promise<{ transport: Transport; port: number; url: string }> => {
    const transport = await createTransport(name, listener);
    const port = await transport.listen('127.0.0.1', 0);
    cleanup.push(() => transport.close());
    return { transport, port, url: `http://127.0.0.1:${port}` };
  };
  const client = async (port: number): Promise<RawClient> => {
    const raw = await RawClient.open(port);
    cleanup.push(() => raw.close());
    return raw;
  };

  test('delivers method, path, query, headers, peer and body', async () => {
    const { url } = await listen((request, response) => {
      readBody(request, BODY_LIMIT_BYTES).then((body) => {
        response.head(201, { 'content-type': 'application/json', 'x-extra': 'yes' });
        const { method, path, remoteAddress } = request;
        const seen = { method, path, remoteAddress, q: request.query.get('q'), h: request.headers.get('x-custom') };
        response.end(JSON.stringify({ ...seen, body: Buffer.from(body).toString() }));
      });
    });
    const answer = await fetch(`${url}/a/b?q=1%202`, {
      method: 'POST',
      headers: { 'X-Custom': 'v' },
      body: 'héllo',
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-extra')).toBe('yes');
    expect(await answer.json()).toEqual({
      method: 'POST',
      path: '/a/b',
      remoteAddress: '127.0.0.1',
      q: '1 2',
      h: 'v',
      body: 'héllo',
    });
  });

  test('reads a chunked upload that arrives in pieces', async () => {
    const { port } = await listen(echo);
    const raw = await client(port);
    raw.send('POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n');
    raw.send('4\r\ndefg\r\n');
    raw.send('0\r\n\r\n');
    await raw.until(/\r\n\r\nabcdefg$/);
  });

  test('tells a client that expects 100-continue to go on', async () => {
    const { port } = await listen(echo);
    const raw = await client(port);
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await raw.until(/^HTTP\/1\.1 100 /);
    raw.send('ok');
    await raw.until(/200 OK[\s\S]*\r\n\r\nok$/);
  });

  test('refuses a body that declares more than the cap, and one that turns out to be more', async () => {
    const { url, port } = await listen(echo);
    const declared = await fetch(url, { method: 'POST', body: 'x'.repeat(BODY_LIMIT_BYTES + 1) });
    expect([declared.status, await declared.text()]).toEqual([413, 'request_too_large']);
    const raw = await client(port);
    raw.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'y'.repeat(0x10000)}\r\n`;
    raw.send(chunk + chunk);
    await raw.until(/^HTTP\/1\.1 413 [\s\S]*request_too_large/);
    const whole = await fetch(url, { method: 'POST', body: 'x'.repeat(BODY_LIMIT_BYTES) });
    expect((await whole.text()).length).toBe(BODY_LIMIT_BYTES);
  });

  test('undoes gzip, deflate, raw deflate and br', async () => {
    const { url } = await listen(echo);
    const text = 'compress me '.repeat(50);
    const cases = [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['deflate', deflateRawSync],
      ['br', brotliCompressSync],
    ] as const;
    for (const [encoding, compress] of cases) {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-encoding': encoding },
        body: new Uint8Array(compress(text)),
      });
      expect([encoding, await answer.text()]).toEqual([encoding, text]);
    }
  });

  test('reads zstd where Node has it and answers 415 where it has not', async () => {
    const { url } = await listen(echo);
    const zstd = (zlib as { zstdCompressSync?: (text: string) => Buffer }).zstdCompressSync;
    const body = new Uint8Array(zstd?.('ok') ?? Buffer.from('ok'));
    const answer = await fetch(url, { method: 'POST', headers: { 'content-encoding': 'zstd' }, body });
    expect([answer.status, await answer.text()]).toEqual(
      zstd === undefined ? [415, 'unsupported_media_type'] : [200, 'ok'],
    );
    const unknown = await fetch(url, { method: 'POST', headers: { 'content-encoding': 'rot13' }, body: 'x' });
    expect(unknown.status).toBe(415);
  });

  test('caps the decompressed size, and refuses corrupt compression', async () => {
    const { url } = await listen(echo);
    const post = (body: Buffer): Promise<Response> =>
      fetch(url, { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: new Uint8Array(body) });
    expect((await post(gzipSync(Buffer.alloc(BODY_LIMIT_BYTES * 10)))).status).toBe(413);
    expect((await post(Buffer.from('not gzip'))).status).toBe(400);
    expect((await post(gzipSync('truncated '.repeat(99)).subarray(0, 20))).status).toBe(400);
  });

  test('pauses a slow reader without losing a byte, while others are served', async () => {
    const piece = `${'0123456789abcdef'.repeat(4096)}\n`;
    const totalPieces = 400;
    let numPieces = 0;
    let sawPause: () => void = () => {};
    const paused = new Promise<void>((resolve) => {
      sawPause = resolve;
    });
    const { port, url } = await listen(async (request, response) => {
      response.head(200, { 'content-type': 'text/plain' });
      if (request.path !== '/slow') return response.end('quick');
      for (; numPieces < totalPieces; numPieces++) {
        if (response.write(piece)) continue;
        sawPause();
        await response.drained();
      }
      response.end();
    });
    const raw = await client(port);
    raw.socket.pause();
    raw.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await paused;
    for (let turn = 0; turn < 50; turn++) expect(await (await fetch(url)).text()).toBe('quick');
    // What the kernel's socket buffers hold is all that was taken: the 26 MB never pile up in the server.
    expect(numPieces).toBeLessThan(totalPieces / 2);
    raw.socket.resume();
    await raw.untilEnd('\r\n0\r\n\r\n');
    expect(raw.received.split('abcdef\n').length - 1).toBe(totalPieces);
  });

  test('aborts the signal when the client leaves: streaming, paused, waiting and uploading', async () => {
    const reasons: Record<string, () => void> = {};
    const aborted = (path: string): Promise<void> =>
      new Promise((resolve) => {
        reasons[path] = resolve;
      });
    const started = new Map<string, () => void>();
    const { port } = await listen((request, response) => {
      request.signal.addEventListener('abort', () => reasons[request.path]?.());
      if (request.path === '/upload')
        request.body(10).catch((error: EngineError) => expect(error.code).toBe('aborted'));
      if (request.path === '/stream') response.write('first');
      if (request.path === '/paused') while (response.write('x'.repeat(65_536)));
      started.get(request.path)?.();
    });
    for (const path of ['/stream', '/paused', '/waiting', '/upload']) {
      const raw = await client(port);
      if (path === '/paused') raw.socket.pause();
      const gone = aborted(path);
      const begun = new Promise<void>((resolve) => started.set(path, resolve));
      raw.send(path === '/upload' ? 'POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab' : get(path));
      await begun;
      if (path === '/stream') await raw.until(/first/);
      raw.close();
      await gone;
    }
  });

  test('ignores writes after a disconnect, and lets the writer go on', async () => {
    let finished: () => void = () => {};
    const done = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const { port } = await listen(async (request, response) => {
      while (response.write('x'.repeat(65_536)));
      const drained = response.drained();
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
      await drained;
      expect(response.write('late')).toBe(true);
      await response.drained();
      response.end('late');
      finished();
    });
    const raw = await client(port);
    raw.socket.pause();
    raw.send(get('/'));
    await new Promise((resolve) => setImmediate(resolve));
    raw.close();
    await done;
  });

  test('answers HEAD with the length of the body and no body', async () => {
    const { port } = await listen((_request, response) => {
      response.head(200, { 'x-y': 'z' });
      response.end('12345');
    });
    const raw = await client(port);
    raw.send('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n');
    const head = await raw.until(/^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n/);
    expect(head[0].toLowerCase()).toContain('content-length: 5\r\n');
    raw.send(get('/'));
    await raw.until(/\r\n\r\nHTTP\/1\.1 200 [\s\S]*\r\n\r\n12345$/);
  });

  test('answers 204 without a body, and keeps the connection', async () => {
    const { port } = await listen((request, response) => {
      response.head(request.method === 'OPTIONS' ? 204 : 200, {});
      response.end();
    });
    const raw = await client(port);
    raw.send('OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n');
    await raw.until(/^HTTP\/1\.1 204 [\s\S]*?\r\n\r\n$/);
    raw.send(get('/'));
    await raw.until(/\r\n\r\nHTTP\/1\.1 200 /);
  });

  test('answers pipelined requests in order', async () => {
    const { port } = await listen(echo);
    const raw = await client(port);
    const paths = Array.from({ length: 20 }, (_, index) => `/p${index}`);
    raw.send(paths.map((path) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody`).join(''));
    await raw.until(/x-path: \/p19[\s\S]*body$/);
    expect([...raw.received.matchAll(/x-path: (\S+)/g)].map((match) => match[1])).toEqual(paths);
  });

  test('survives malformed requests', async () => {
    const { port, url } = await listen(echo);
    const bad = [
      '\x00\x01\x02 nonsense\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`,
    ];
    for (const text of bad) {
      const raw = await client(port);
      raw.send(text);
      await raw.closed();
      expect(raw.received).toMatch(/^(HTTP\/1\.1 (4\d\d|505) [\s\S]*)?$/);
    }
    expect((await fetch(url, { method: 'POST', body: 'alive' })).status).toBe(200);
  });

  test('refuses a port that another server holds', async () => {
    const { port } = await listen(echo);
    const second = await createTransport(name, echo);
    cleanup.push(() => second.close());
    const refused = await second.listen('127.0.0.1', port).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EngineError);
    expect(refused).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(String(port)) });
  });

  test('after stopAccepting serves open connections and refuses new ones; close cuts the rest', async () => {
    const { transport, port } = await listen(echo);
    const raw = await client(port);
    raw.send(get('/one'));
    await raw.until(/x-path: \/one/);
    transport.stopAccepting();
    raw.send(get('/two'));
    await raw.until(/x-path: \/two/);
    await expect(RawClient.open(port)).rejects.toThrow(/ECONNREFUSED/);
    const closed = raw.closed();
    await transport.close();
    await closed;
  });
});
