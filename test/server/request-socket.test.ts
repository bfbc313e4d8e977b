/** Our own WebSocket protocol: many requests on one socket, as isolated from one another as on sockets of their own. */
import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { closeCodeOf, frame, OPCODE, openRaw } from '../support/raw-web-socket.ts';
import { parseSse, post, type Script, type ServeOptions, serve } from '../support/serve.ts';
import { RefusedHandshake, type ServerFrame, SocketClient } from '../support/socket-client.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const TOKENS = ['one', ' two', ' three', ' four', ' fünf'];
const SCRIPT: Script = {
  replies: [
    { when: 'fail', tokens: TOKENS, failAfterTokens: 2 },
    { when: 'other', tokens: ['something', ' else'] },
    { tokens: TOKENS },
  ],
};

const ROUTES = [
  {
    path: '/v1/chat/completions',
    body: (text: string) => ({ model: 'scripted', messages: [{ role: 'user', content: text }] }),
    text: (event: object) =>
      (event as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '',
    errorCode: (error: object) => (error as { error: { code: string } }).error.code,
  },
  {
    path: '/v1/messages',
    body: (text: string) => ({ model: 'scripted', max_tokens: 4000, messages: [{ role: 'user', content: text }] }),
    text: (event: object) => (event as { delta?: { text?: string } }).delta?.text ?? '',
    errorCode: (error: object) => {
      const { type, details } = (error as { error: { type: string; details?: { error_code: string } } }).error;
      return details?.error_code ?? type;
    },
  },
] as const;
const [CHAT] = ROUTES;

const port = (url: string): number => Number(new URL(url).port);
const request = (id: string, body: object) => ({ type: 'request', id, body });

/** The same numbers in every run, from 0 to 1. Source: mulberry32, public domain. */
const randomNumbers = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

/** Identifiers and times differ from one answer to the next. */
const withoutIds = (event: unknown): unknown =>
  JSON.parse(JSON.stringify(event), (key, value) =>
    ['id', 'created', 'request_id'].includes(key) ? undefined : (value as unknown),
  );

describe.each(TRANSPORTS)('over %s', (transport) => {
  const start = (options: ServeOptions = {}) => serve(SCRIPT, { transport, ...options });

  describe.each(ROUTES)('$path', ({ path, body, text, errorCode }) => {
    const textOf = (frames: readonly ServerFrame[]): string => frames.map(({ event = {} }) => text(event)).join('');

    test('sends the events of the stream over HTTP, then done; JSON and MessagePack say the same', async () => {
      const { url } = await start();
      const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify({ ...body('go'), stream: true }) });
      const expected = parseSse(await answer.text())
        .map(([, data]) => data)
        .filter((data) => data !== '[DONE]');
      for (const protocol of [undefined, 'firstlight.json', 'firstlight.msgpack']) {
        const protocols = protocol === undefined ? [] : ['unknown', protocol];
        const client = await SocketClient.open(url, path, { protocols });
        expect(client.ws.protocol).toBe(protocol ?? '');
        client.send(request('r1', body('go')));
        const frames = await client.ended('r1');
        expect(frames.at(-1)).toEqual({ type: 'done', id: 'r1' });
        const events = frames.slice(0, -1).map(({ event }) => withoutIds(event));
        expect(events).toEqual(expected.map(withoutIds));
        expect(client.isBinary).toEqual(frames.map(() => protocol === 'firstlight.msgpack'));
      }
    });

    test('interleaves requests, and ends one of them without touching the others', async () => {
      const gate = new TokenGate();
      const { url, engine } = await start({ beforeToken: gate.beforeToken });
      gate.allow(2);
      const client = await SocketClient.open(url, path);
      for (const id of ['a', 'b', 'c']) client.send(request(id, body('go')));
      const hasBegun = (id: string): boolean => client.framesOf(id).length > 0;
      await until(() => ['a', 'b', 'c'].every(hasBegun) && textOf(client.framesOf('a')) === 'one two');
      client.send({ type: 'cancel', id: 'b' });
      const cancelled = await client.ended('b');
      expect(cancelled.at(-1)).toMatchObject({ type: 'error', status: 499 });
      gate.open();
      await until(() => textOf(client.framesOf('c')) !== '');
      expect(client.framesOf('a').at(-1)?.type).toBe('event');
      for (const id of ['a', 'c']) {
        const frames = await client.ended(id);
        expect(frames.at(-1)?.type).toBe('done');
        expect(textOf(frames)).toBe(TOKENS.join(''));
      }
      expect(client.framesOf('b')).toEqual(cancelled);
      await until(() => engine.stats().running === 0);
    });

    test('tells errors in the words of the dialect, before the first event and within an answer', async () => {
      const { url } = await start();
      const client = await SocketClient.open(url, path);
      const overHttp = await post(url + path, { model: 'scripted' });
      client.send(request('bad', { model: 'scripted' }));
      const [refused, ...nothing] = await client.ended('bad');
      expect(nothing).toEqual([]);
      expect(refused).toMatchObject({ type: 'error', status: 400 });
      expect(withoutIds(refused?.error)).toEqual(withoutIds(overHttp.body));
      client.send(request('fails', body('fail')));
      const failed = await client.ended('fails');
      expect(textOf(failed)).toBe('one two');
      expect(failed.at(-1)).toMatchObject({ type: 'error', status: 500 });
      client.send(request('good', body('other')));
      expect(textOf(await client.ended('good'))).toBe('something else');
    });

    test('answers frames that make no sense with errors, and stays', async () => {
      const gate = new TokenGate();
      const { url } = await start({ beforeToken: gate.beforeToken });
      const client = await SocketClient.open(url, path);
      client.send(request('r1', body('go')));
      const faulty: [text: string | Uint8Array, id: string | undefined][] = [
        ['{"type":"request","id":"r1"', undefined],
        ['[]', undefined],
        ['null', undefined],
        ['{"id":"x"}', 'x'],
        ['{"type":"shout","id":"x"}', 'x'],
        ['{"type":"request","body":{}}', undefined],
        ['{"type":"request","id":7,"body":{}}', undefined],
        ['{"type":"request","id":"","body":{}}', undefined],
        [`{"type":"request","id":"${'x'.repeat(300)}","body":{}}`, undefined],
        ['{"type":"request","id":"x","body":[]}', 'x'],
        ['{"type":"request","id":"x"}', 'x'],
        [`{"type":"request","id":"x","body":${'['.repeat(200)}${']'.repeat(200)}}`, undefined],
        ['{"type":"cancel"}', undefined],
        [new Uint8Array([1, 2]), undefined],
        [JSON.stringify(request('r1', body('other'))), 'r1'],
      ];
      for (const [index, [text, id]] of faulty.entries()) {
        client.ws.send(text);
        const errors = () => client.frames.filter(({ type }) => type === 'error');
        await until(() => errors().length === index + 1);
        const { id: named, status, error = {} } = errors().at(-1)!;
        expect([text, named, status]).toEqual([text, id, 400]);
        expect(errorCode(error)).toMatch(id === 'r1' ? /^duplicate_id$/ : /invalid/);
      }
      client.send({ type: 'cancel', id: 'unknown' });
      client.send({ type: 'ping' });
      await until(() => client.frames.at(-1)?.type === 'pong');
      gate.open();
      await until(() => client.frames.at(-1)?.type === 'done');
      expect(textOf(client.framesOf('r1'))).toBe(TOKENS.join(''));
    });
  });

  test('refuses MessagePack that is broken, nested too deeply or more than JSON, and stays', async () => {
    const { url } = await start();
    const client = await SocketClient.open(url, CHAT.path, { protocols: ['firstlight.msgpack'] });
    const faulty = [
      new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff]), // an array that claims four thousand million entries
      new Uint8Array(100_000).fill(0x91), // arrays in arrays
      new Uint8Array([0xc1]),
      new Uint8Array([0x81, 0xa4, 0x74, 0x79, 0x70, 0x65, 0xc4, 0x01, 0x00]), // {type: bytes}
      new Uint8Array([0x81, 0xa4, 0x74, 0x79, 0x70, 0x65, 0xd6, 0xff, 0, 0, 0, 0]), // {type: a time}
      new Uint8Array([]),
    ];
    for (const [index, bytes] of faulty.entries()) {
      client.ws.send(bytes);
      await until(() => client.frames.length === index + 1);
      expect(client.frames.at(-1)).toMatchObject({ type: 'error', status: 400 });
    }
    // A plain map, as libraries without records write it.
    client.ws.send(new Uint8Array([0x81, 0xa4, 0x74, 0x79, 0x70, 0x65, 0xa4, 0x70, 0x69, 0x6e, 0x67]));
    await until(() => client.frames.at(-1)?.type === 'pong');
  });

  test('gives each request a place of its own among those in flight', async () => {
    const gate = new TokenGate();
    const { url } = await start({ beforeToken: gate.beforeToken, maxConcurrentRequests: 2 });
    const client = await SocketClient.open(url, CHAT.path);
    for (const id of ['a', 'b', 'c']) client.send(request(id, CHAT.body('go')));
    expect((await client.ended('c')).at(-1)).toMatchObject({ type: 'error', status: 429 });
    gate.open();
    await client.ended('a');
    await client.ended('b');
    client.send(request('d', CHAT.body('go')));
    expect((await client.ended('d')).at(-1)?.type).toBe('done');
    await SocketClient.open(url, CHAT.path);
    const third = await SocketClient.open(url, CHAT.path).catch((error: unknown) => error);
    expect(third).toMatchObject({ status: 429 });
  });

  test('ends every one of many requests once, however they are cancelled', async () => {
    const { url, engine } = await start({ maxConcurrentRequests: 40 });
    const sockets = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        SocketClient.open(url, CHAT.path, { protocols: [index % 2 === 0 ? 'firstlight.json' : 'firstlight.msgpack'] }),
      ),
    );
    const random = randomNumbers(1);
    const ids: string[][] = sockets.map(() => []);
    for (let step = 0; step < 400; step++) {
      const index = Math.floor(random() * sockets.length);
      const [socket, own] = [sockets[index]!, ids[index]!];
      if (own.length > 0 && random() < 0.4) {
        socket.send({ type: 'cancel', id: own[Math.floor(random() * own.length)] });
      } else {
        own.push(`r${step}`);
        socket.send(request(`r${step}`, CHAT.body(random() < 0.2 ? 'fail' : 'go')));
      }
      if (step % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const [index, socket] of sockets.entries()) {
      for (const id of ids[index]!) {
        const frames = await socket.ended(id);
        const last = frames.at(-1)!;
        expect(frames.slice(0, -1).every(({ type }) => type === 'event')).toBe(true);
        const text = frames.map(({ event = {} }) => CHAT.text(event)).join('');
        if (last.type === 'done') expect(text).toBe(TOKENS.join(''));
        else expect([429, 499, 500]).toContain(last.status);
      }
    }
    await until(() => engine.stats().running + engine.stats().waiting === 0);
  });

  test('ends all work of a socket that is dropped', async () => {
    const gate = new TokenGate();
    const { url, engine } = await start({ beforeToken: gate.beforeToken, maxConcurrentRequests: 3 });
    gate.allow(1);
    const client = await SocketClient.open(url, CHAT.path);
    for (const id of ['a', 'b', 'c']) client.send(request(id, CHAT.body('go')));
    await until(() => client.frames.length >= 3);
    client.ws.terminate();
    gate.allow(2);
    await until(() => engine.stats().running + engine.stats().waiting === 0);
    gate.open();
    const again = await SocketClient.open(url, CHAT.path);
    for (const id of ['a', 'b', 'c']) again.send(request(id, CHAT.body('go')));
    for (const id of ['a', 'b', 'c']) expect((await again.ended(id)).at(-1)?.type).toBe('done');
  });

  test('lets a slow reader stall itself alone, and gives it every token later', async () => {
    const tokens = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(20_000)} `);
    const { url, engine } = await serve({ replies: [{ when: 'long', tokens }, { tokens: TOKENS }] }, { transport });
    const slow = await SocketClient.open(url, CHAT.path);
    slow.ws.pause();
    const ids = ['a', 'b', 'c'];
    for (const id of ids) slow.send(request(id, CHAT.body('long')));
    const quick = await SocketClient.open(url, CHAT.path);
    quick.send(request('q', CHAT.body('go')));
    expect((await quick.ended('q')).at(-1)?.type).toBe('done');
    await until(() => engine.stats().completionTokens > ids.length * tokens.length && engine.stats().running === 0);
    slow.ws.resume();
    for (const id of ids) {
      const frames = await slow.ended(id);
      expect(frames.map(({ event = {} }) => CHAT.text(event)).join('') === tokens.join('')).toBe(true);
      // What was made while the socket was full came joined.
      expect(frames.length).toBeLessThan(tokens.length);
    }
  });

  test('closes with 1009 on a frame over the body limit', async () => {
    const { url } = await start({ bodyLimitBytes: 10_000 });
    const raw = await openRaw(port(url), CHAT.path);
    raw.send(frame(OPCODE.text, JSON.stringify(request('big', CHAT.body('x'.repeat(10_000))))));
    await until(() => closeCodeOf(raw.received) !== undefined);
    expect(closeCodeOf(raw.received)).toBe(1009);
    raw.close();
  });

  test('drains: running requests end, new ones are refused, then the socket closes with 1001', async () => {
    const gate = new TokenGate();
    const { url, server } = await start({ beforeToken: gate.beforeToken });
    gate.allow(1);
    const busy = await SocketClient.open(url, CHAT.path);
    const idle = await SocketClient.open(url, CHAT.path);
    busy.send(request('a', CHAT.body('go')));
    await until(() => busy.frames.length > 0);
    const drained = server.drain();
    await until(() => idle.closeCode !== undefined);
    expect(idle.closeCode).toBe(1001);
    busy.send(request('late', CHAT.body('go')));
    expect((await busy.ended('late')).at(-1)).toMatchObject({ type: 'error', status: 503 });
    gate.open();
    const frames = await busy.ended('a');
    expect(frames.at(-1)?.type).toBe('done');
    await drained;
    await until(() => busy.closeCode !== undefined);
    expect(busy.closeCode).toBe(1001);
  });

  test('counts sockets and their requests, and logs no word of what was said', async () => {
    const { url, log } = await start();
    const client = await SocketClient.open(url, CHAT.path);
    const open = await (await fetch(`${url}/metrics`)).text();
    expect(open).toContain('firstlight_websockets_open 1');
    client.send(request('secret-id', CHAT.body('secret words')));
    await client.ended('secret-id');
    client.ws.close();
    await until(() => log.some(({ status }) => status === 101));
    expect(log).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ method: 'WS', route: CHAT.path, status: 200, completionTokens: expect.any(Number) }),
        expect.objectContaining({ method: 'GET', route: CHAT.path, status: 101 }),
      ]),
    );
    expect(JSON.stringify(log)).not.toMatch(/secret|fünf/);
    const closed = await (await fetch(`${url}/metrics`)).text();
    expect(closed).toContain('firstlight_websockets_open 0');
    expect(closed).toContain(`firstlight_http_requests_total{route="${CHAT.path}",method="WS",status="200"} 1`);
  });
});

describe('who may open a socket', () => {
  const KEY = 'sk-sécret/+=';
  const keyProtocol = `firstlight.key.${Buffer.from(KEY).toString('base64url')}`;
  const openWith = async (
    options: ServeOptions,
    headers: Record<string, string>,
    protocols: readonly string[] = [],
    path: string = CHAT.path,
  ): Promise<number | string> => {
    const { url } = await serve(SCRIPT, options);
    try {
      const client = await SocketClient.open(url, path, { headers, protocols });
      client.send(request('r', CHAT.body('go')));
      expect((await client.ended('r')).at(-1)?.type).toBe('done');
      return client.ws.protocol;
    } catch (error) {
      if (error instanceof RefusedHandshake) return error.status;
      throw error;
    }
  };

  test('whoever has a key, in a header or, as pages must, among the sub-protocols', async () => {
    const keyed: ServeOptions = { apiKeys: [KEY, 'plain'] };
    expect(await openWith(keyed, {})).toBe(401);
    expect(await openWith(keyed, { 'x-api-key': 'wrong' })).toBe(401);
    expect(await openWith(keyed, {}, ['firstlight.json', 'firstlight.key.wrong'])).toBe(401);
    expect(await openWith(keyed, { 'x-api-key': 'plain' })).toBe('');
    expect(await openWith(keyed, { authorization: 'Bearer plain' }, ['firstlight.msgpack'])).toBe('firstlight.msgpack');
    expect(await openWith(keyed, {}, ['firstlight.json', keyProtocol])).toBe('firstlight.json');
    expect(await openWith(keyed, {}, [keyProtocol, 'firstlight.msgpack'])).toBe('firstlight.msgpack');
    expect(await openWith(keyed, {}, ['firstlight.json', 'openai-insecure-api-key.plain'])).toBe('firstlight.json');
    expect(await openWith(keyed, {}, [keyProtocol])).toBe(400);
  });

  test('no page of a foreign origin, and none under a foreign name', async () => {
    const allowed: ServeOptions = { corsOrigins: ['http://page.example'] };
    expect(await openWith({}, { origin: 'http://page.example' })).toBe(403);
    expect(await openWith(allowed, { origin: 'http://page.example' })).toBe('');
    expect(await openWith(allowed, { origin: 'http://other.example' })).toBe(403);
    expect(await openWith({}, { host: 'rebound.example' })).toBe(403);
  });

  test('with a sub-protocol that is spoken, on a path that takes sockets', async () => {
    expect(await openWith({}, {}, ['graphql-ws'])).toBe(400);
    expect(await openWith({}, {}, [], '/v1/completions')).toBe(404);
    expect(await openWith({}, {}, [], '/nowhere')).toBe(404);
  });

  test('over HTTP the same paths answer as before', async () => {
    const { url } = await serve(SCRIPT);
    expect((await call(url + CHAT.path)).status).toBe(405);
  });
});
