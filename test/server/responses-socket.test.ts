/** OpenAI's WebSocket mode of the Responses API, as the SDKs and Codex use it. */
import { ResponsesWS } from 'openai/resources/responses/ws';
import { ResponsesWS as ResponsesWS7 } from 'openai-7/resources/responses/ws';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Socket } from '../../src/server/http.ts';
import { responsesSocket } from '../../src/server/responses/socket.ts';
import type { SocketContext } from '../../src/server/sockets/route.ts';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';
import { expectResponseEvent } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  replies: [
    { when: 'fail', tokens: ['one', ' two'], failAfterTokens: 1 },
    { when: 'name', tokens: ['Ada', '.'] },
    { tokens: ['Fi', 'ne', '.'] },
  ],
};

interface ServerEvent {
  readonly type: string;
  readonly response?: Readonly<Record<string, unknown>> & { readonly id: string };
  readonly error?: Readonly<Record<string, unknown>>;
  readonly status?: number;
  readonly stream_id?: string;
  readonly delta?: string;
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error']);

class Client {
  readonly events: ServerEvent[] = [];
  readonly ws: WebSocket;
  closeCode: number | undefined;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (bytes: Buffer, isBinary: boolean) => {
      expect(isBinary).toBe(false);
      this.events.push(JSON.parse(bytes.toString()) as ServerEvent);
    });
    ws.on('close', (code) => {
      this.closeCode = code;
    });
    ws.on('error', () => ws.terminate());
  }

  static open(url: string, headers: Record<string, string> = {}, protocols: string[] = []): Promise<Client> {
    const ws = new WebSocket(`${url.replace('http:', 'ws:')}/v1/responses`, protocols, { headers });
    onTestFinished(() => ws.terminate());
    const client = new Client(ws);
    return new Promise((resolve, reject) => {
      ws.once('open', () => resolve(client));
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response) => reject(new Error(`refused: ${response.statusCode}`)));
    });
  }

  create(body: object): void {
    this.ws.send(JSON.stringify({ type: 'response.create', ...body }));
  }

  get ends(): readonly ServerEvent[] {
    return this.events.filter(({ type }) => TERMINAL.has(type));
  }

  /** Sends one request and resolves to its last event. Nothing else may be running. */
  async ask(body: object): Promise<ServerEvent> {
    const numEnds = this.ends.length;
    this.create(body);
    await until(() => this.ends.length > numEnds);
    return this.ends.at(-1)!;
  }
}

const textOf = (event: ServerEvent): string =>
  ((event.response?.output ?? []) as { content: { text: string }[] }[]).map(({ content }) => content[0]?.text).join('');
const inputTokens = (event: ServerEvent): number =>
  (event.response?.usage as { input_tokens: number } | undefined)?.input_tokens ?? 0;

const ERROR = (code: string, status = 400) => ({ type: 'error', status, error: { code } });

/** Ids and times differ from one answer to the next. */
const withoutIds = (event: unknown): unknown =>
  JSON.parse(JSON.stringify(event), (key, value) =>
    ['id', 'item_id', 'created_at', 'completed_at', 'cached_tokens'].includes(key) ? undefined : (value as unknown),
  );

describe.each(TRANSPORTS)('over %s', (transport) => {
  const start = (options: ServeOptions = {}) => serve(SCRIPT, { transport, ...options });

  test.each([
    [...OPENAI_SDKS[0], ResponsesWS],
    [...OPENAI_SDKS[1], ResponsesWS7 as unknown as typeof ResponsesWS],
  ])('%s talks to it', async (_name, Sdk, Ws) => {
    const { url } = await start({ apiKeys: ['k1'] });
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'k1' });
    const ws = new Ws(client);
    onTestFinished(() => ws.close());
    const types: string[] = [];
    const answers: string[] = [];
    const ids: string[] = [];
    ws.on('event', (event) => types.push(event.type));
    ws.on('response.completed', ({ response }) => {
      ids.push(response.id);
      answers.push(response.output.flatMap((item) => (item.type === 'message' ? item.content : [])).length.toString());
    });
    const create = (input: string, previous?: string) =>
      ws.send({
        type: 'response.create',
        model: 'scripted',
        input,
        store: false,
        ...(previous === undefined ? {} : { previous_response_id: previous }),
      });
    create('Hello');
    await until(() => ids.length === 1);
    create('My name?', ids[0]);
    await until(() => ids.length === 2);
    expect(types.filter((type) => type === 'response.created')).toHaveLength(2);
    expect(types.at(-1)).toBe('response.completed');
    expect(answers).toEqual(['1', '1']);
  });

  test('sends the events of the stream over HTTP, and no more', async () => {
    const { url } = await start();
    const body = { model: 'scripted', input: 'Hello', store: false };
    const answer = await fetch(`${url}/v1/responses`, {
      method: 'POST',
      body: JSON.stringify({ ...body, stream: true }),
    });
    const expected = parseSse(await answer.text())
      .slice(0, -1)
      .map(([, data]) => withoutIds(data));
    const client = await Client.open(url);
    await client.ask(body);
    for (const event of client.events) expectResponseEvent(event);
    expect(client.events.map(withoutIds)).toEqual(expected);
  });

  test('remembers its last response, stored or not, and no other connection does', async () => {
    const { url } = await start();
    const client = await Client.open(url);
    const first = await client.ask({ input: 'Hello', store: false });
    const second = await client.ask({ input: 'My name?', store: false, previous_response_id: first.response?.id });
    const third = await client.ask({ input: 'On', store: false, previous_response_id: second.response?.id });
    expect([first, second, third].map(textOf)).toEqual(['Fine.', 'Ada.', 'Fine.']);
    expect(inputTokens(second)).toBeGreaterThan(inputTokens(first));
    expect(inputTokens(third)).toBeGreaterThan(inputTokens(second));
    const other = await Client.open(url);
    for (const { response } of [first, third]) {
      expect(await other.ask({ input: 'On', previous_response_id: response?.id })).toMatchObject(
        ERROR('previous_response_not_found'),
      );
    }
    expect((await fetch(`${url}/v1/responses/${third.response?.id}`)).status).toBe(404);
    // The socket stays open after an error.
    expect(textOf(await other.ask({ input: 'Hello' }))).toBe('Fine.');
  });

  test('continues stored responses, and stores its own', async () => {
    const { url } = await start();
    const made = await fetch(`${url}/v1/responses`, { method: 'POST', body: '{"input":"Hello"}' });
    const { id } = (await made.json()) as { id: string };
    const client = await Client.open(url);
    const next = await client.ask({ input: 'My name?', previous_response_id: id });
    expect(next).toMatchObject({ type: 'response.completed', response: { store: true, previous_response_id: id } });
    const other = await Client.open(url);
    expect(await other.ask({ input: 'On', previous_response_id: next.response?.id })).toMatchObject({
      type: 'response.completed',
    });
    expect((await fetch(`${url}/v1/responses/${next.response?.id}`)).status).toBe(200);
  });

  test('forgets what a failed continuation would have continued', async () => {
    const { url } = await start();
    const client = await Client.open(url);
    const first = await client.ask({ input: 'Hello', store: false });
    const failed = await client.ask({ input: 'fail', store: false, previous_response_id: first.response?.id });
    expect(failed).toMatchObject({ type: 'response.failed', response: { status: 'failed' } });
    expect(await client.ask({ input: 'x', previous_response_id: first.response?.id })).toMatchObject(
      ERROR('previous_response_not_found'),
    );
    const second = await client.ask({ input: 'Hello', store: false });
    await client.ask({ input: 'x', temperature: 9, previous_response_id: second.response?.id });
    expect(await client.ask({ input: 'x', previous_response_id: second.response?.id })).toMatchObject(
      ERROR('previous_response_not_found'),
    );
  });

  test('warms up without an answer, as Codex does first', async () => {
    const { url } = await start();
    const client = await Client.open(url, { 'openai-beta': 'responses_websockets=2026-02-06', originator: 'codex' });
    const tools = [
      { type: 'function', name: 'exec_command', parameters: { type: 'object' }, strict: false },
      { type: 'namespace', name: 'mcp', description: 'd', tools: [{ type: 'function', name: 'f', parameters: {} }] },
      { type: 'web_search', external_web_access: false },
    ];
    const body = {
      model: 'scripted',
      instructions: '',
      input: [{ type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] }],
      tools,
      tool_choice: 'none',
      parallel_tool_calls: true,
      reasoning: { effort: 'medium', summary: 'auto' },
      store: false,
      include: ['reasoning.encrypted_content'],
      prompt_cache_key: 'thread',
      client_metadata: { a: 'b' },
    };
    const warm = await client.ask({ ...body, generate: false });
    expect(warm).toMatchObject({ type: 'response.completed', response: { status: 'completed', output: [] } });
    const asked = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'My name?' }] };
    const turn = await client.ask({ ...body, input: [asked], previous_response_id: warm.response?.id });
    expect(textOf(turn)).toBe('Ada.');
    expect(inputTokens(turn)).toBeGreaterThan(inputTokens(warm));
    expect(turn.response?.usage).toMatchObject({ input_tokens_details: { cached_tokens: expect.any(Number) } });
  });

  test('answers one after the other, in the order of the requests', async () => {
    const gate = new TokenGate();
    const { url } = await start({ beforeToken: gate.beforeToken });
    const client = await Client.open(url);
    for (const input of ['Hello', 'My name?', 'Hello']) client.create({ input });
    await until(() => client.events.some(({ type }) => type === 'response.in_progress'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.events.filter(({ type }) => type === 'response.created')).toHaveLength(1);
    gate.open();
    await until(() => client.ends.length === 3);
    expect(client.ends.map(textOf)).toEqual(['Fine.', 'Ada.', 'Fine.']);
    const order = client.events.filter(({ type }) => type === 'response.created' || TERMINAL.has(type));
    expect(order.map(({ response }) => response?.id)).toEqual(
      client.ends.flatMap(({ response }) => [response?.id, response?.id]),
    );
  });

  test('runs lanes side by side, each in its own order, and marks every event', async () => {
    const gate = new TokenGate();
    const { url } = await start({ beforeToken: gate.beforeToken });
    const client = await Client.open(url);
    for (const stream_id of ['a', 'b', 'a'])
      client.create({ input: stream_id === 'a' ? 'Hello' : 'My name?', stream_id });
    client.create({ input: 'Hello' });
    await until(() => client.events.filter(({ type }) => type === 'response.created').length === 3);
    gate.open();
    await until(() => client.ends.length === 4);
    const of = (lane: string | undefined) => client.events.filter(({ stream_id }) => stream_id === lane);
    expect(
      of('a')
        .filter(({ type }) => TERMINAL.has(type))
        .map(textOf),
    ).toEqual(['Fine.', 'Fine.']);
    expect(
      of('b')
        .filter(({ type }) => TERMINAL.has(type))
        .map(textOf),
    ).toEqual(['Ada.']);
    expect(of(undefined).filter(({ type }) => TERMINAL.has(type))).toHaveLength(1);
    for (const lane of ['a', 'b', undefined]) expect(of(lane)[0]?.type).toBe('response.created');
    // A lane forks from another's last response.
    const last = of('b').at(-1)?.response?.id;
    const fork = await client.ask({ input: 'On', stream_id: 'c', store: false, previous_response_id: last });
    expect(fork).toMatchObject({ type: 'response.completed', stream_id: 'c' });
  });

  test('refuses what is no request with an error frame, and stays open', async () => {
    const { url } = await start();
    const client = await Client.open(url);
    const send = async (message: string | Buffer): Promise<ServerEvent> => {
      const numEnds = client.ends.length;
      client.ws.send(message);
      await until(() => client.ends.length > numEnds);
      return client.ends.at(-1)!;
    };
    expect(await send('{')).toMatchObject(ERROR('invalid_json'));
    expect(await send('[]')).toMatchObject(ERROR('invalid_frame'));
    expect(await send(Buffer.from('{}'))).toMatchObject(ERROR('invalid_frame'));
    expect(await send('{"type":"response.steer"}')).toMatchObject({
      ...ERROR('invalid_frame'),
      error: { param: 'type' },
    });
    const create = (more: object) => send(JSON.stringify({ type: 'response.create', input: 'x', ...more }));
    for (const stream_id of ['', 'a b', 'x'.repeat(257), 7]) {
      expect(await create({ stream_id })).toMatchObject({ error: { param: 'stream_id' } });
    }
    expect(await create({ stream_id: 'a', model: 'gpt-9' })).toMatchObject({
      ...ERROR('model_not_found', 404),
      stream_id: 'a',
    });
    expect(await create({ background: true })).toMatchObject({ error: { param: 'background' } });
    expect(await create({ input: 'x'.repeat(20_000) })).toMatchObject(ERROR('context_length_exceeded'));
    expect(textOf(await client.ask({ input: 'Hello', stream: true, stream_options: {} }))).toBe('Fine.');
  });

  test('takes 32 lanes and 64 waiting requests, and no more', async () => {
    const gate = new TokenGate();
    const { url } = await start({ beforeToken: gate.beforeToken });
    const client = await Client.open(url);
    for (let lane = 0; lane < 32; lane++) client.create({ input: 'Hello', stream_id: `lane${lane}` });
    client.create({ input: 'Hello', stream_id: 'lane32' });
    await until(() => client.ends.length === 1);
    expect(client.ends[0]).toMatchObject({ stream_id: 'lane32', error: { param: 'stream_id' } });
    // 16 run and 16 wait.
    for (let count = 0; count < 49; count++) client.create({ input: 'Hello', stream_id: 'lane0' });
    await until(() => client.ends.length === 2);
    expect(client.ends[1]).toMatchObject(ERROR('rate_limit_exceeded', 429));
    await until(() => client.events.filter(({ type }) => type === 'response.created').length === 16);
    gate.open();
    await until(() => client.ends.length === 2 + 32 + 48);
    expect(client.ends.filter(({ type }) => type === 'response.completed')).toHaveLength(80);
  });

  test('keeps what was said to a client that left, as cancelled', async () => {
    const gate = new TokenGate();
    const { url, engine } = await start({ beforeToken: gate.beforeToken });
    gate.allow(1);
    const client = await Client.open(url);
    client.create({ input: 'Hello' });
    client.create({ input: 'My name?' });
    await until(() => client.events.some(({ delta }) => delta === 'Fi'));
    const id = client.events[0]?.response?.id;
    client.ws.terminate();
    await until(() => engine.stats().running === 0);
    gate.open();
    const look = async () => (await (await fetch(`${url}/v1/responses/${id}`)).json()) as Record<string, unknown>;
    let response = await look();
    while (response.status === 'in_progress') response = await look();
    expect(response).toMatchObject({ status: 'cancelled', output: [{ content: [{ text: 'Fi' }] }] });
    expect(engine.stats().waiting).toBe(0);
  });

  test('asks for the key, and agrees on a sub-protocol for browsers alone', async () => {
    const { url } = await start({ apiKeys: ['k1'] });
    await expect(Client.open(url)).rejects.toThrow('refused: 401');
    await expect(Client.open(url, { authorization: 'Bearer k2' })).rejects.toThrow('refused: 401');
    const plain = await Client.open(url, { authorization: 'Bearer k1' });
    expect(plain.ws.protocol).toBe('');
    const page = await Client.open(url, { authorization: 'Bearer k1' }, ['firstlight.json']);
    expect(page.ws.protocol).toBe('firstlight.json');
    expect(textOf(await page.ask({ input: 'Hello' }))).toBe('Fine.');
    await expect(Client.open(url, { authorization: 'Bearer k1' }, ['poem'])).rejects.toThrow('refused: 400');
  });

  test('lets running responses end when the server drains, then says goodbye', async () => {
    const gate = new TokenGate();
    const { url, server } = await start({ beforeToken: gate.beforeToken });
    const client = await Client.open(url);
    client.create({ input: 'Hello' });
    await until(() => client.events.some(({ type }) => type === 'response.in_progress'));
    const drained = server.drain();
    client.create({ input: 'Hello' });
    gate.open();
    await drained;
    await until(() => client.closeCode !== undefined);
    expect(client.closeCode).toBe(1001);
    expect(client.ends[0]).toMatchObject({ type: 'response.completed' });
  });
});

test('takes no more requests at its age limit, answers those it has, and closes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const sent: ServerEvent[] = [];
  const closed: number[] = [];
  const socket: Socket = {
    protocol: '',
    signal: new AbortController().signal,
    onMessage: () => {},
    send: (message) => {
      sent.push(JSON.parse(String(message)) as ServerEvent);
      return true;
    },
    drained: () => Promise.resolve(),
    close: (code) => void closed.push(code),
  };
  const ends: (() => void)[] = [];
  const run: SocketContext['run'] = () => new Promise((resolve) => void ends.push(resolve));
  responsesSocket().serve(socket, { run } as SocketContext);
  socket.onMessage('{"type":"response.create","input":"x"}');
  expect(ends).toHaveLength(1);
  vi.advanceTimersByTime(60 * 60 * 1000 - 1);
  socket.onMessage('{"type":"response.create","input":"x"}');
  vi.advanceTimersByTime(1);
  socket.onMessage('{"type":"response.create","input":"x"}');
  expect(sent).toMatchObject([ERROR('websocket_connection_limit_reached')]);
  ends[0]?.();
  await vi.waitUntil(() => ends.length === 2);
  expect(closed).toEqual([]);
  ends[1]?.();
  await vi.waitUntil(() => closed.length === 1);
  expect(closed).toEqual([1000]);
  expect(sent.at(-1)).toMatchObject(ERROR('websocket_connection_limit_reached'));
});
