/** The client against a real server: the same events over every transport, cuts that go unnoticed, requests that end. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ApiError, Client, type ClientOptions, ConnectionError, msgpackCodec } from '../../src/client/index.ts';
import { SseParser } from '../../src/client/sse-parser.ts';
import { DEFAULT_STREAM_STORE } from '../../src/server/resume/stream-store.ts';
import { startBreakingProxy } from '../support/breaking-proxy.ts';
import { type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { until } from '../support/until.ts';

const TOKENS = ['one', ' two', ' three\n\n', ' vier', ' fünf', ' data: six'];
const TEXT = TOKENS.join('');
const SCRIPT: Script = {
  replies: [{ when: 'fail', tokens: TOKENS, failAfterTokens: 2 }, { tokens: TOKENS }],
};
const messages = [{ role: 'user', content: 'go' }];
const CHAT = { model: 'scripted', messages };
const MESSAGES = { model: 'scripted', max_tokens: 1000, messages };
const FAILING = { ...CHAT, messages: [{ role: 'user', content: 'fail' }] };

const WAYS: readonly { name: string; options: Partial<ClientOptions> }[] = [
  { name: 'SSE', options: { transport: 'sse' } },
  { name: 'WebSocket, JSON', options: { WebSocket } },
  { name: 'WebSocket, MessagePack', options: { WebSocket, codec: msgpackCodec({ Packr, Unpackr }) } },
  // Node has a WebSocket of its own from 22 on; before that this is SSE once more.
  { name: 'what the platform has', options: {} },
];

const clientOf = (baseUrl: string, options: Partial<ClientOptions> = {}): Client => {
  const client = new Client({ baseUrl, ...options });
  onTestFinished(() => client.close());
  return client;
};

const chatText = async (client: Client, body = CHAT): Promise<string> => {
  let text = '';
  for await (const { choices } of client.chat(body)) text += choices[0]?.delta.content ?? '';
  return text;
};

const messageText = async (client: Client): Promise<string> => {
  let text = '';
  for await (const event of client.messages(MESSAGES)) {
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text;
  }
  return text;
};

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe.each(WAYS)('over $name', ({ options }) => {
  const start = async (serveOptions: ServeOptions = {}) => {
    const served = await serve(SCRIPT, serveOptions);
    return { ...served, client: clientOf(`${served.url}/`, { apiKey: 'key', ...options }) };
  };

  test('streams both dialects, with the key', async () => {
    const { client } = await start({ apiKeys: ['key'] });
    expect(await chatText(client)).toBe(TEXT);
    expect(await messageText(client)).toBe(TEXT);
    const last = [];
    for await (const event of client.chat({ ...CHAT, stream_options: { include_usage: true } })) last.push(event);
    expect(last.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(last.at(-1)?.usage?.completion_tokens).toBeGreaterThan(TOKENS.length - 1);
  });

  test('runs many requests at once', async () => {
    const { client } = await start();
    const texts = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? chatText(client) : messageText(client))),
    );
    expect(texts).toEqual(texts.map(() => TEXT));
  });

  test('throws what the server refuses, and what fails within an answer, and goes on', async () => {
    const { client } = await start();
    const refused = await failureOf(chatText(client, { ...CHAT, model: 'other' }));
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ status: 404, message: expect.stringContaining('other') });
    const failed = await failureOf(chatText(client, FAILING));
    expect(failed).toBeInstanceOf(ApiError);
    expect(await chatText(client)).toBe(TEXT);
  });

  test('ends the work when the iteration is left, and when its signal aborts', async () => {
    const gate = new TokenGate();
    const { client, engine } = await start({ beforeToken: gate.beforeToken });
    const isIdle = (): boolean => engine.stats().running + engine.stats().waiting === 0;
    gate.allow(2);
    for await (const { choices } of client.chat(CHAT)) if (choices[0]?.delta.content) break;
    gate.allow(3);
    await until(isIdle);
    gate.allow(2);
    const leaving = new AbortController();
    const reason = new Error('changed my mind');
    const left = failureOf(
      (async () => {
        for await (const { choices } of client.chat(CHAT, { signal: leaving.signal })) {
          if (choices[0]?.delta.content) leaving.abort(reason);
        }
      })(),
    );
    expect(await left).toBe(reason);
    gate.allow(3);
    await until(isIdle);
    expect(await failureOf(client.chat(CHAT, { signal: leaving.signal }).next())).toBe(reason);
    gate.open();
    expect(await chatText(client)).toBe(TEXT);
  });
});

describe('over SSE', () => {
  /** Breaks every answer off after so many bytes. */
  const breakingFetch = (numBytes: number): typeof fetch => {
    return async (input, init) => {
      const answer = await fetch(input, init);
      if (answer.body === null || !answer.ok) return answer;
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      let left = numBytes;
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            const { done, value } = await reader.read();
            if (done) return controller.close();
            controller.enqueue(value.subarray(0, left));
            left -= value.length;
            if (left > 0) return;
            void reader.cancel();
            controller.error(new Error('cut'));
          },
          cancel: () => reader.cancel(),
        },
        // Nothing is read ahead: what nobody has asked for yet would be lost with the error.
        { highWaterMark: 0 },
      );
      return new Response(body as ReadableStream, { status: answer.status, headers: answer.headers });
    };
  };

  test('gives the same text however often the connection breaks', async () => {
    const { url, engine } = await serve(SCRIPT);
    for (const numBytes of [900, 947, 1011, 1320, 1777, 2500]) {
      const client = clientOf(url, { transport: 'sse', fetch: breakingFetch(numBytes) });
      expect([numBytes, await chatText(client)]).toEqual([numBytes, TEXT]);
      expect([numBytes, await messageText(client)]).toEqual([numBytes, TEXT]);
    }
    await until(() => engine.stats().running === 0);
  });

  test('gives up after as many attempts as it may make', async () => {
    const { url } = await serve(SCRIPT);
    const client = clientOf(url, { transport: 'sse', fetch: breakingFetch(20), maxReconnects: 2 });
    const failure = await failureOf(chatText(client));
    expect(failure).toBeInstanceOf(ConnectionError);
    expect(String(failure)).toContain('2 attempts');
  });

  test('tells what a proxy says in words of its own', async () => {
    const fetch = () => Promise.resolve(new Response('<h1>Bad gateway</h1>', { status: 502 }));
    const failure = await failureOf(chatText(clientOf('http://nowhere.example', { transport: 'sse', fetch })));
    expect(failure).toMatchObject({ status: 502, body: '<h1>Bad gateway</h1>' });
  });

  test('ends the work of a request that is left while the name of its stream is on its way', async () => {
    const gate = new TokenGate();
    const streamStore = { ...DEFAULT_STREAM_STORE, graceMs: 3_600_000 };
    const { url, engine } = await serve(SCRIPT, { beforeToken: gate.beforeToken, streamStore });
    let sendOn = (): void => {};
    const isSentOn = new Promise<void>((resolve) => {
      sendOn = resolve;
    });
    const slowFetch: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      if (init?.method !== 'POST') return answer;
      const hungUp = new Promise<never>((_resolve, reject) => {
        init.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      });
      await Promise.race([isSentOn, hungUp]);
      return answer;
    };
    const leaving = new AbortController();
    const events = clientOf(url, { transport: 'sse', fetch: slowFetch }).chat(CHAT, { signal: leaving.signal });
    const failure = failureOf(events.next());
    await until(() => engine.stats().running === 1);
    leaving.abort(new Error('changed my mind'));
    expect(await failure).toMatchObject({ message: 'changed my mind' });
    sendOn();
    gate.allow(1);
    await until(() => engine.stats().running + engine.stats().waiting === 0);
    gate.open();
  });

  test('throws ConnectionError where nobody listens', async () => {
    const client = clientOf('http://127.0.0.1:1', { transport: 'sse' });
    expect(await failureOf(chatText(client))).toBeInstanceOf(ConnectionError);
    expect(await failureOf(client.models())).toBeInstanceOf(ConnectionError);
  });
});

test('lists the models', async () => {
  const { url } = await serve(SCRIPT, { apiKeys: ['key'] });
  expect(await clientOf(url, { apiKey: 'key' }).models()).toMatchObject([
    { id: 'scripted', served: true, context_length: 8192 },
  ]);
  expect(await failureOf(clientOf(url).models())).toMatchObject({ name: 'ApiError', status: 401 });
});

describe('over WebSocket', () => {
  test('can be left while its socket opens', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const client = clientOf(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, { WebSocket });
    const leaving = new AbortController();
    const failure = failureOf(client.chat(CHAT, { signal: leaving.signal }).next());
    await until(() => sockets.length > 0);
    leaving.abort(new Error('changed my mind'));
    expect(await failure).toMatchObject({ message: 'changed my mind' });
  });

  /** Remembers its sockets, so that a test can cut them. */
  const cuttable = () => {
    const sockets: WebSocket[] = [];
    class Remembered extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    return { sockets, Remembered };
  };

  test('sends again what was lost before its first event, and opens a new socket after a loss', async () => {
    const gate = new TokenGate();
    const { url } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
    const { sockets, Remembered } = cuttable();
    const client = clientOf(url, { transport: 'websocket', WebSocket: Remembered });
    const text = messageText(client);
    await until(() => sockets[0]?.readyState === WebSocket.OPEN);
    sockets[0]?.terminate();
    gate.open();
    expect(await text).toBe(TEXT);
    expect(sockets.length).toBe(2);
  });

  test('throws ConnectionError within an answer', async () => {
    const gate = new TokenGate();
    const { url, engine } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
    const { sockets, Remembered } = cuttable();
    gate.allow(1);
    const client = clientOf(url, { WebSocket: Remembered });
    const events = client.chat(CHAT);
    await events.next();
    sockets[0]?.terminate();
    expect(await failureOf(events.next().then(() => events.next()))).toBeInstanceOf(ConnectionError);
    gate.open();
    await until(() => engine.stats().running + engine.stats().waiting === 0);
    expect(await chatText(client)).toBe(TEXT);
  });

  test('takes HTTP where no WebSocket is to be had, unless one is insisted on', async () => {
    const { url } = await serve(SCRIPT);
    class Blocked extends WebSocket {
      constructor(_url: string, protocols: string[]) {
        super('ws://127.0.0.1:1', protocols);
      }
    }
    expect(await chatText(clientOf(url, { WebSocket: Blocked }))).toBe(TEXT);
    const insisting = clientOf(url, { WebSocket: Blocked, transport: 'websocket' });
    expect(await failureOf(chatText(insisting))).toBeInstanceOf(ConnectionError);
    const wrongKey = await serve(SCRIPT, { apiKeys: ['key'] });
    expect(await failureOf(chatText(clientOf(wrongKey.url, { WebSocket, apiKey: 'x' })))).toMatchObject({
      status: 401,
    });
  });

  test('tells a server that has vanished from one that is silent', async () => {
    const gate = new TokenGate();
    const { server, engine } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
    const proxy = await startBreakingProxy(server.port);
    const pings: unknown[] = [];
    class Watched extends WebSocket {
      override send(message: string): void {
        if (message.includes('ping')) pings.push(message);
        super.send(message);
      }
    }
    const client = clientOf(proxy.url, { WebSocket: Watched, pingIntervalMs: 300 });
    const events = client.chat(CHAT);
    await events.next();
    await until(() => pings.length >= 3);
    gate.allow(1);
    expect((await events.next()).value?.choices[0]?.delta.content).toBe('one');
    proxy.silence();
    expect(await failureOf(events.next())).toBeInstanceOf(ConnectionError);
    gate.open();
    expect(await chatText(client)).toBe(TEXT);
    proxy.breakAll();
    await until(() => engine.stats().running + engine.stats().waiting === 0);
  });

  test('close ends what runs', async () => {
    const gate = new TokenGate();
    const { url, engine } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
    const client = clientOf(url, { WebSocket });
    const events = client.chat(CHAT);
    await events.next();
    client.close();
    expect(await failureOf(events.next())).toBeInstanceOf(ConnectionError);
    gate.open();
    await until(() => engine.stats().running + engine.stats().waiting === 0);
  });
});

test('reads server-sent events whatever their line ends, for every split of the text', () => {
  const events = [
    { id: '1', data: 'a' },
    { id: '2', data: 'b\nc:d' },
    { id: '2', data: '' },
  ];
  for (const end of ['\n', '\r\n', '\r']) {
    const text = [': hi', 'id: 1', 'data: a', '', 'id:2', 'event: x', 'data:b', 'data: c:d', '', 'data', '', ''].join(
      end,
    );
    for (let split = 0; split <= text.length; split++) {
      const parser = new SseParser();
      // A lone CR may be half a line's end: what follows tells.
      const read = [...parser.push(text.slice(0, split)), ...parser.push(text.slice(split)), ...parser.push(': end\n')];
      expect([end, split, read]).toEqual([end, split, events]);
    }
  }
});
