/** Responses that go on without their client, and the events of those that have ended. */
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, type ServeOptions, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  reasoningFormat: 'think',
  toolFormat: 'hermes',
  contextLength: 512,
  replies: [
    { when: 'break', tokens: ['one', 'two', 'three'], failAfterTokens: 2 },
    {
      when: 'weather',
      tokens: [
        '<think>',
        'Hm.',
        '</think>',
        'Look: ',
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>',
      ],
    },
    { tokens: ['1', ', ', '2', ', ', '3'] },
  ],
};
const TOOL = { type: 'function', name: 'f', parameters: { type: 'object' }, strict: false };

const eventually = (isSo: () => Promise<boolean>) => expect.poll(isSo, { timeout: 20_000 }).toBe(true);

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly background: boolean;
  readonly output: readonly { readonly content: readonly { readonly text: string }[] }[];
  readonly error: object | null;
  readonly usage: object | null;
}

const show = async (url: string, id: string): Promise<Shown> =>
  (await (await fetch(`${url}/v1/responses/${id}`)).json()) as Shown;
const ended = async (url: string, id: string): Promise<Shown> => {
  await eventually(async () => !['queued', 'in_progress'].includes((await show(url, id)).status));
  return show(url, id);
};
const begin = async (url: string, body: object = {}): Promise<Shown> => {
  const answer = await post(`${url}/v1/responses`, { input: 'count', background: true, ...body });
  expect([answer.status, answer.body]).toMatchObject([200, {}]);
  return answer.body as Shown;
};

/** Holds every token from the third on until it is opened. */
const gated = () => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const options: ServeOptions = { beforeToken: async (_, index) => (index < 2 ? undefined : opened) };
  return { options, open };
};

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('a response in the background is answered at once, and looked at until it has ended', async () => {
    const { options, open } = gated();
    const { url } = await serve(SCRIPT, { ...options, transport });
    const first = await begin(url);
    const { usage, ...shown } = first;
    expect(usage).toBeNull();
    expectSchema('openai', 'Response', shown);
    expect(first).toMatchObject({ status: 'queued', background: true, output: [], completed_at: null });
    await eventually(async () => (await show(url, first.id)).output.length > 0);
    expect(await show(url, first.id)).toMatchObject({ status: 'in_progress', usage: null });
    open();
    const last = await ended(url, first.id);
    expect(last).toMatchObject({ id: first.id, status: 'completed', background: true });
    expect(last.output[0]?.content[0]?.text).toBe('1, 2, 3');
    const next = await post(`${url}/v1/responses`, { input: 'count', previous_response_id: first.id });
    expect(next.status).toBe(200);
  });

  test('one that is cancelled ends with what was said, also while it waits', async () => {
    const { options, open } = gated();
    const { url } = await serve(SCRIPT, { ...options, transport, engine: { maxRunning: 1 } });
    const [running, waiting] = [await begin(url), await begin(url)];
    await eventually(async () => (await show(url, running.id)).output.length > 0);
    expect((await show(url, waiting.id)).status).toBe('queued');
    for (const [{ id }, numItems] of [
      [waiting, 0],
      [running, 1],
    ] as const) {
      const { status, body } = await post(`${url}/v1/responses/${id}/cancel`, {});
      expect([status, body]).toMatchObject([200, { id, status: 'cancelled' }]);
      expect((body as Shown).output).toHaveLength(numItems);
      expect((await show(url, id)).status).toBe('cancelled');
    }
    open();
  });

  test('a stream in the background goes on when its client leaves', async () => {
    const { options, open } = gated();
    const { url } = await serve(SCRIPT, { ...options, transport });
    const leaving = new AbortController();
    const answer = await fetch(`${url}/v1/responses`, {
      method: 'POST',
      body: JSON.stringify({ input: 'count', background: true, stream: true }),
      signal: leaving.signal,
    });
    const reader = answer.body!.getReader();
    const text = Buffer.from((await reader.read()).value ?? []).toString();
    leaving.abort();
    const id = /"id":"(resp_[0-9a-f]+)"/.exec(text)?.[1] ?? '';
    open();
    expect(await ended(url, id)).toMatchObject({ status: 'completed', background: true });
  });
});

test('one that fails is kept as failed', async () => {
  const { url } = await serve(SCRIPT);
  const { id } = await begin(url, { input: 'break' });
  expect(await ended(url, id)).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
});

test('what can be refused is refused at once', async () => {
  const { url } = await serve(SCRIPT);
  const refuse = async (to: string, body: object) =>
    (await post(`${to}/v1/responses`, { input: 'count', background: true, ...body })).body;
  expect(await refuse(url, { store: false })).toMatchObject({ error: { param: 'background', code: 'invalid_value' } });
  expect(await refuse(url, { input: 'x'.repeat(600) })).toMatchObject({ error: { code: 'context_length_exceeded' } });
  const { url: forgetful } = await serve(SCRIPT, { responseStore: { maxBytes: 0 } });
  expect(await refuse(forgetful, {})).toMatchObject({ error: { param: 'background', code: 'unsupported_parameter' } });
});

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  test('polls a response until it has ended, and reads its events afterwards', async () => {
    const { url } = await serve(SCRIPT);
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
    let response = await client.responses.create({
      model: 'scripted',
      input: 'weather',
      background: true,
      tools: [TOOL] as never,
    });
    await eventually(async () => {
      response = await client.responses.retrieve(response.id);
      return response.status === 'completed';
    });
    expect(response.output.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call']);
    const events: ResponseStreamEvent[] = [];
    for await (const event of await client.responses.retrieve(response.id, { stream: true })) events.push(event);
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
    expect(events.at(-1)).toMatchObject({ type: 'response.completed' });
    const streamed = await client.responses.stream({ response_id: response.id }).finalResponse();
    const bare = JSON.parse(JSON.stringify(response)) as object;
    expect(JSON.parse(JSON.stringify(streamed))).toMatchObject({ output: Reflect.get(bare, 'output') as object });
  });
});

test('replayed events are those of the live stream, each text in one piece', async () => {
  const { url } = await serve(SCRIPT);
  const body = { input: 'weather', tools: [TOOL], stream: true, reasoning: { summary: 'auto' } };
  const live = await fetch(`${url}/v1/responses`, { method: 'POST', body: JSON.stringify(body) });
  const joined = (text: string) => {
    const events: Record<string, unknown>[] = [];
    for (const [name, data] of parseSse(text)) {
      if (data === '[DONE]') break;
      const { sequence_number: _, ...event } = data as Record<string, unknown>;
      expect(event.type).toBe(name);
      const last = events.at(-1);
      // Reasoning comes under two names in turn: what is joined is compared by name alone.
      const same = events.findLast(({ type, item_id: item }) => type === event.type && item === event.item_id);
      if (String(event.type).endsWith('.delta') && same !== undefined && String(last?.type).endsWith('.delta'))
        same.delta = `${String(same.delta)}${String(event.delta)}`;
      else events.push(event);
    }
    return events;
  };
  const liveEvents = joined(await live.text());
  const { id } = (liveEvents[0] as { response: { id: string } }).response;
  const replay = await (await fetch(`${url}/v1/responses/${id}?stream=true`)).text();
  expect(replay.endsWith('data: [DONE]\n\n')).toBe(true);
  const order = (event: Record<string, unknown>) =>
    JSON.stringify([event.output_index ?? -1, event.type, event.content_index]);
  const sorted = (events: Record<string, unknown>[]) => [...events].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  expect(sorted(joined(replay))).toEqual(sorted(liveEvents));
});

test('a replay may start behind an event, and always has the last one', async () => {
  const { url } = await serve(SCRIPT);
  const { body } = await post(`${url}/v1/responses`, { input: 'count' });
  const { id } = body as Shown;
  const events = async (query: string) =>
    parseSse(await (await fetch(`${url}/v1/responses/${id}?stream=true${query}`)).text())
      .map(([, data]) => data)
      .filter((data) => data !== '[DONE]') as { type: string; sequence_number: number }[];
  const all = await events('');
  expect(await events('&starting_after=3')).toEqual(all.slice(4));
  expect(await events('&starting_after=99999')).toEqual(all.slice(-1));
  const refused = await fetch(`${url}/v1/responses/${id}?stream=true&starting_after=x`);
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { param: 'starting_after' } }]);
  expect((await fetch(`${url}/v1/responses/resp_nobody?stream=true`)).status).toBe(404);
});

interface Told {
  readonly type: string;
  readonly sequence_number: number;
}
const eventsIn = (text: string): Told[] =>
  parseSse(text)
    .map(([, data]) => data)
    .filter((data) => data !== '[DONE]') as Told[];

test('who left a stream in the background reads on behind the last event, while it is made and afterwards', async () => {
  const { options, open } = gated();
  const { url } = await serve(SCRIPT, options);
  const leaving = new AbortController();
  const answer = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    body: JSON.stringify({ input: 'count', background: true, stream: true }),
    signal: leaving.signal,
  });
  const reader = answer.body!.getReader();
  let text = '';
  while (!text.includes('output_text.delta')) text += Buffer.from((await reader.read()).value ?? []).toString();
  leaving.abort();
  const seen = eventsIn(text.slice(0, text.lastIndexOf('\n\n')));
  const { id } = (seen[0] as unknown as { response: Shown }).response;
  const last = seen.at(-1)!.sequence_number;
  const live = fetch(`${url}/v1/responses/${id}?stream=true&starting_after=${last}`);
  expect((await show(url, id)).status).toBe('in_progress');
  open();
  const rest = eventsIn(await (await live).text());
  expect([...seen, ...rest].map(({ sequence_number: number }) => number)).toEqual(
    [...seen, ...rest].map((_, index) => index),
  );
  expect(rest.at(-1)).toMatchObject({ type: 'response.completed', response: { id } });
  const whole = eventsIn(await (await fetch(`${url}/v1/responses/${id}?stream=true`)).text());
  expect(whole).toEqual([...seen, ...rest]);
  const beyond = await fetch(`${url}/v1/responses/${id}?stream=true&starting_after=${whole.length}`);
  expect([beyond.status, await beyond.json()]).toMatchObject([400, { error: { param: 'starting_after' } }]);
});

test('the events of one that was not asked for as a stream can be read, too, and go with it', async () => {
  const { options, open } = gated();
  const { url } = await serve(SCRIPT, { ...options, apiKeys: ['a', 'b'] });
  const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  const { body } = await post(`${url}/v1/responses`, { input: 'count', background: true }, as('a').headers);
  const { id } = body as Shown;
  const live = fetch(`${url}/v1/responses/${id}?stream=true`, as('a'));
  expect((await fetch(`${url}/v1/responses/${id}?stream=true`, as('b'))).status).toBe(404);
  open();
  expect(eventsIn(await (await live).text()).at(-1)).toMatchObject({ type: 'response.completed' });
  expect((await fetch(`${url}/v1/responses/${id}`, { ...as('a'), method: 'DELETE' })).status).toBe(200);
  expect((await fetch(`${url}/v1/responses/${id}?stream=true`, as('a'))).status).toBe(404);
});

test('the events of one that is not made in the background go to who asked for it alone', async () => {
  const { options, open } = gated();
  const { url } = await serve(SCRIPT, options);
  const answer = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    body: JSON.stringify({ input: 'count', stream: true }),
  });
  const reader = answer.body!.getReader();
  const text = Buffer.from((await reader.read()).value ?? []).toString();
  const id = /"id":"(resp_[0-9a-f]+)"/.exec(text)?.[1] ?? '';
  const refused = await fetch(`${url}/v1/responses/${id}?stream=true`);
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { param: 'stream' } }]);
  open();
  while (!(await reader.read()).done);
});
