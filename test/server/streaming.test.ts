/** Streams: each token leaves as it is made, a client that leaves frees the engine, a slow one slows nobody. */
import { describe, expect, test } from 'vitest';
import { EventQueue } from '../../src/server/event-queue.ts';
import { RawClient } from '../support/raw-client.ts';
import { parseSse, type Script, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const TOKENS = ['one', ' two', ' three', ' four', ' five'];
const SCRIPT: Script = { replies: [{ tokens: TOKENS }] };
const messages = [{ role: 'user', content: 'go' }];

/** The routes that stream, and the text that one of their events carries. */
const ROUTES = [
  {
    path: '/v1/chat/completions',
    body: { model: 'scripted', messages, stream: true },
    text: (data: unknown) =>
      (data as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '',
    ping: ': ping\n\n',
  },
  {
    path: '/v1/completions',
    body: { model: 'scripted', prompt: 'go', stream: true },
    text: (data: unknown) => (data as { choices?: { text: string }[] }).choices?.[0]?.text ?? '',
    ping: ': ping\n\n',
  },
  {
    path: '/v1/messages',
    body: { model: 'scripted', max_tokens: 4000, messages, stream: true },
    text: (data: unknown) => (data as { delta?: { text?: string } }).delta?.text ?? '',
    ping: 'event: ping\ndata: {"type":"ping"}\n\n',
  },
];

/** Reads an SSE answer piece by piece. */
class StreamReader {
  received = '';
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();

  constructor(answer: Response) {
    this.#reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  }

  async until(isEnough: (received: string) => boolean): Promise<void> {
    while (!isEnough(this.received)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`the stream ended: ${this.received.slice(-300)}`);
      this.received += this.#decoder.decode(value, { stream: true });
    }
  }

  async rest(): Promise<void> {
    for (let piece = await this.#reader.read(); !piece.done; piece = await this.#reader.read())
      this.received += this.#decoder.decode(piece.value, { stream: true });
  }

  /** Texts of the whole events so far. */
  texts(textOf: (data: unknown) => string): readonly string[] {
    const whole = this.received.slice(0, this.received.lastIndexOf('\n\n') + 2);
    return parseSse(whole)
      .map(([, data]) => textOf(data))
      .filter((text) => text !== '');
  }
}

describe.each(TRANSPORTS)('over %s', (transport) => {
  describe.each(ROUTES)('$path', ({ path, body, text, ping }) => {
    const open = (url: string, signal?: AbortSignal): Promise<Response> =>
      fetch(url + path, { method: 'POST', body: JSON.stringify(body), ...(signal ? { signal } : {}) });

    test('sends each token before the next one is made', async () => {
      const gate = new TokenGate();
      const { url } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
      gate.allow(1);
      const reader = new StreamReader(await open(url));
      for (let held = 1; held <= TOKENS.length; held++) {
        await reader.until(() => reader.texts(text).length >= held);
        expect(reader.texts(text)).toEqual(TOKENS.slice(0, held));
        gate.allow(held + 1);
      }
      await reader.rest();
      expect(reader.texts(text)).toEqual(TOKENS);
    });

    test('sends its head before the prompt is computed', async () => {
      const gate = new TokenGate();
      const { url } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
      const answer = await open(url);
      expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      const reader = new StreamReader(answer);
      await reader.until((received) => received.endsWith('\n\n'));
      expect(reader.texts(text)).toEqual([]);
      gate.open();
      await reader.rest();
      expect(reader.texts(text)).toEqual(TOKENS);
    });

    test('ends the work within a step when the client leaves mid-stream', async () => {
      const gate = new TokenGate();
      const { url, engine, log } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
      const numBefore = engine.stats().completionTokens;
      gate.allow(2);
      const leaving = new AbortController();
      const reader = new StreamReader(await open(url, leaving.signal));
      await reader.until(() => reader.texts(text).length === 2);
      expect(engine.stats().running).toBe(1);
      leaving.abort();
      await until(() => log.some(({ status }) => status === 499));
      gate.open();
      await until(() => engine.stats().running === 0);
      expect(engine.stats().completionTokens - numBefore).toBeLessThan(TOKENS.length);
    });

    test('keeps a silent stream alive with pings', async () => {
      const gate = new TokenGate();
      const { url } = await serve(SCRIPT, { transport, pingIntervalMs: 5, beforeToken: gate.beforeToken });
      gate.allow(1);
      const reader = new StreamReader(await open(url));
      await reader.until((received) => received.split(ping).length > 3);
      gate.open();
      await reader.rest();
      expect(reader.texts(text)).toEqual(TOKENS);
    });

    test('lets a slow reader wait alone, and joins the text that it left unread', async () => {
      const piece = 'slow reader '.repeat(40_000);
      const numTokens = 40;
      const script: Script = { replies: [{ tokens: Array<string>(numTokens).fill(piece) }] };
      const { url, engine, server } = await serve(script, { transport });
      const numBefore = engine.stats().completionTokens;
      const raw = await RawClient.open(server.port);
      raw.socket.pause();
      const json = JSON.stringify({ ...body, max_tokens: 1000 });
      raw.send(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${json.length}\r\n\r\n${json}`);
      // The engine finishes although nobody reads: 19 MB, more than the sockets hold.
      await until(() => engine.stats().completionTokens - numBefore >= numTokens && engine.stats().running === 0);
      expect((await fetch(`${url}/health`)).status).toBe(200);
      raw.socket.resume();
      await raw.untilEnd('\r\n0\r\n\r\n');
      expect(raw.received.split('slow reader ').length - 1).toBe(numTokens * 40_000);
      expect(raw.received.split('data: ').length - 1).toBeLessThan(numTokens);
      raw.close();
    });
  });

  test('ends the work when the client of a whole answer leaves', async () => {
    const gate = new TokenGate();
    const { server, engine, log } = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
    const numBefore = engine.stats().completionTokens;
    const raw = await RawClient.open(server.port);
    const json = JSON.stringify({ model: 'scripted', messages });
    raw.send(`POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${json.length}\r\n\r\n${json}`);
    await until(() => engine.stats().running === 1);
    raw.close();
    await until(() => log.some(({ status }) => status === 499));
    gate.open();
    await until(() => engine.stats().running === 0);
    expect(engine.stats().completionTokens - numBefore).toBeLessThan(TOKENS.length);
  });

  test('forgets a request whose client leaves the queue', async () => {
    const gate = new TokenGate();
    const options = { transport, beforeToken: gate.beforeToken, engine: { maxRunning: 1 } };
    const { url, engine, log } = await serve(SCRIPT, options);
    const ask = (signal?: AbortSignal): Promise<Response> =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'scripted', messages, stream: true }),
        ...(signal ? { signal } : {}),
      });
    const numBefore = engine.stats().completionTokens;
    const running = ask().then((answer) => answer.text());
    await until(() => engine.stats().running === 1);
    const leaving = new AbortController();
    const waiting = ask(leaving.signal).catch(() => 'left');
    await until(() => engine.stats().waiting === 1);
    leaving.abort();
    await until(() => log.some(({ status }) => status === 499));
    gate.open();
    expect(await running).toContain('[DONE]');
    await waiting;
    await until(() => engine.stats().waiting === 0 && engine.stats().running === 0);
    expect(engine.stats().completionTokens - numBefore).toBeLessThan(TOKENS.length * 2);
  });

  test('ends the other choices when the client leaves or one choice fails', async () => {
    const script: Script = {
      replies: [{ when: 'break', tokens: ['a', 'b'], failAfterTokens: 1 }, { tokens: TOKENS }],
    };
    const gate = new TokenGate();
    const { url, engine, log } = await serve(script, { transport, beforeToken: gate.beforeToken });
    const leaving = new AbortController();
    const ask = (content: string): Promise<Response> =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        signal: leaving.signal,
        body: JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content }], n: 4, stream: true }),
      });
    gate.allow(2);
    const broken = ask('break').then((answer) => answer.text());
    expect(await broken).toMatch(/data: \{"error":[^\n]*\n\n$/);
    gate.open();
    await until(() => engine.stats().running === 0);
    gate.allow(1);
    const reader = new StreamReader(await ask('go'));
    await reader.until((received) => received.includes('one'));
    await until(() => engine.stats().running + engine.stats().waiting === 4);
    leaving.abort();
    await until(() => log.some(({ status }) => status === 499));
    gate.open();
    await until(() => engine.stats().running === 0);
  });
});

test('joins text of one kind and choice while its reader is paused, and never else', async () => {
  const events = async function* (text: string) {
    for (const piece of text) yield { type: 'text', text: piece } as const;
    yield { type: 'reasoning', text: '!' } as const;
  };
  const read = async (isPaused: boolean) => {
    const queue = new EventQueue(
      ['abc', 'xyz'].map((text) => ({ promptTokens: 0, events: events(text) })),
      new AbortController().signal,
    );
    queue.isPaused = isPaused;
    await new Promise((resolve) => setImmediate(resolve));
    const seen: unknown[] = [];
    for (let next = await queue.next(); next !== undefined; next = await queue.next())
      seen.push([next.choice, 'text' in next.event && next.event.text]);
    return seen;
  };
  expect(await read(true)).toEqual([
    [0, 'abc'],
    [1, 'xyz'],
    [0, '!'],
    [1, '!'],
  ]);
  expect(await read(false)).toEqual([
    [0, 'a'],
    [1, 'x'],
    [0, 'b'],
    [1, 'y'],
    [0, 'c'],
    [1, 'z'],
    [0, '!'],
    [1, '!'],
  ]);
});

test("joins a call's arguments while its reader is paused, each call's apart", async () => {
  const events = async function* () {
    for (const index of [0, 1]) {
      yield { type: 'tool_call_start', index, id: `c${index}`, name: 'f' } as const;
      for (const text of ['{', '}']) yield { type: 'tool_call_arguments', index, text } as const;
      yield { type: 'tool_call_end', index } as const;
    }
  };
  const queue = new EventQueue([{ promptTokens: 0, events: events() }], new AbortController().signal);
  queue.isPaused = true;
  await new Promise((resolve) => setImmediate(resolve));
  const seen: unknown[] = [];
  for (let next = await queue.next(); next !== undefined; next = await queue.next()) seen.push(next.event);
  expect(seen).toEqual(
    [0, 1].flatMap((index) => [
      { type: 'tool_call_start', index, id: `c${index}`, name: 'f' },
      { type: 'tool_call_arguments', index, text: '{}' },
      { type: 'tool_call_end', index },
    ]),
  );
});
