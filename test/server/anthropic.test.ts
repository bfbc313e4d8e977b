/** The Anthropic routes as the official SDKs see them, and as the wire shows them. */
import type Anthropic from '@anthropic-ai/sdk';
import { afterAll, describe, expect, test } from 'vitest';
import { readMessageStream } from '../support/message-stream.ts';
import { messagePrompt } from '../support/parse.ts';
import { ANTHROPIC_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { expectSchema, numChecked } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  reasoningFormat: 'think',
  replies: [
    { when: 'think', tokens: ['<think>', 'Hm', 'm.', '</think>', 'So', ' 4'] },
    { when: 'full', tokens: ['no more room'], finish: 'length' },
    { when: 'break', tokens: ['one', 'two', 'three'], failAfterTokens: 2 },
    { tokens: ['1', ', ', '2', ', ', '3'] },
  ],
};
const ask = (content: string) => [{ role: 'user' as const, content }];

afterAll(() => {
  const checked = numChecked('anthropic');
  console.log(
    checked === undefined
      ? 'no Anthropic schemas here: none checked'
      : `${checked} values checked against Anthropic's schemas`,
  );
  if (checked !== undefined) expect(checked).toBeGreaterThan(0);
});

describe.each(ANTHROPIC_SDKS)('%s', (_name, Sdk) => {
  describe.each(TRANSPORTS)('over %s', (transport) => {
    const connect = async () => {
      const served = await serve(SCRIPT, { transport });
      return { ...served, client: new Sdk({ baseURL: served.url, apiKey: 'x', maxRetries: 0 }) };
    };

    test('answers a message with content, stop reason and usage', async () => {
      const { client } = await connect();
      const message = await client.messages.create({ model: 'scripted', max_tokens: 50, messages: ask('Count to 3') });
      expectSchema('anthropic', 'Message', message);
      expect(message).toMatchObject({
        type: 'message',
        role: 'assistant',
        model: 'scripted',
        stop_reason: 'end_turn',
        stop_sequence: null,
      });
      expect(message.content).toEqual([{ type: 'text', text: '1, 2, 3', citations: [] }]);
      expect(message.usage).toMatchObject({ output_tokens: 5, cache_creation_input_tokens: 0 });
      expect(message.usage.input_tokens).toBeGreaterThan(0);
    });

    test('streams a message that the SDK assembles', async () => {
      const { client } = await connect();
      const stream = client.messages.stream({ model: 'scripted', max_tokens: 50, messages: ask('Count to 3') });
      const pieces: string[] = [];
      stream.on('text', (text) => pieces.push(text));
      const message = await stream.finalMessage();
      expect(pieces).toEqual(['1', ', ', '2', ', ', '3']);
      expect(message).toMatchObject({ stop_reason: 'end_turn', usage: { output_tokens: 5 } });
      expect(message.content[0]).toMatchObject({ type: 'text', text: '1, 2, 3' });
    });

    test('sends thoughts as a signed thinking block, streamed or not', async () => {
      const { client } = await connect();
      const body = {
        model: 'scripted',
        max_tokens: 2000,
        thinking: { type: 'enabled', budget_tokens: 1024 } as const,
        messages: ask('please think'),
      };
      const whole = await client.messages.create(body);
      const streamed = await client.messages.stream(body).finalMessage();
      for (const message of [whole, streamed]) {
        expect(message.content).toMatchObject([
          { type: 'thinking', thinking: 'Hmm.' },
          { type: 'text', text: 'So 4' },
        ]);
        expect((message.content[0] as { signature: string }).signature).not.toBe('');
      }
      const history = [
        ...ask('please think'),
        { role: 'assistant' as const, content: whole.content },
        ...ask('Count on'),
      ];
      expect(
        (await client.messages.create({ ...body, messages: history as Anthropic.MessageParam[] })).stop_reason,
      ).toBe('end_turn');
    });

    test('counts tokens as the prompt will be counted', async () => {
      const { client } = await connect();
      const body = { model: 'scripted', system: 'Be brief.', messages: ask('Count to 3') };
      const counted = await client.messages.countTokens(body);
      expectSchema('anthropic', 'CountMessageTokensResponse', counted);
      const { usage } = await client.messages.create({ ...body, max_tokens: 1 });
      expect(counted.input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0));
    });

    test('lists the model, and answers to Claude names', async () => {
      const { client } = await connect();
      const page = await client.models.list();
      expectSchema('anthropic', 'ModelInfo', page.data[0]);
      expect(page.data.map(({ id }) => id)).toEqual(['scripted']);
      expect((await client.models.retrieve('claude-opus-9')).id).toBe('scripted');
      const message = await client.messages.create({ model: 'claude-opus-9', max_tokens: 9, messages: ask('Hi') });
      expect(message.model).toBe('claude-opus-9');
      await expect(
        client.messages.create({ model: 'gpt-9', max_tokens: 9, messages: ask('Hi') }),
      ).rejects.toMatchObject({ status: 404 });
    });

    test('tells of a failure inside the stream', async () => {
      const { client } = await connect();
      const stream = client.messages.stream({ model: 'scripted', max_tokens: 50, messages: ask('break') });
      const pieces: string[] = [];
      stream.on('text', (text) => pieces.push(text));
      await expect(stream.finalMessage()).rejects.toBeInstanceOf(Sdk.APIError);
      expect(pieces).toEqual(['one', 'two']);
    });
  });
});

const stream = async (url: string, body: object): Promise<readonly (readonly [string, unknown])[]> => {
  const answer = await fetch(`${url}/v1/messages?beta=true`, {
    method: 'POST',
    body: JSON.stringify({ model: 'scripted', max_tokens: 50, stream: true, ...body }),
  });
  const text = await answer.text();
  expect(text).toMatch(/^(event: \w+\ndata: \S[^\n]*\n\n)+$/);
  return parseSse(text);
};

test('writes the stream exactly as clients expect it', async () => {
  const { url } = await serve(SCRIPT);
  const events = await stream(url, { messages: ask('please think') });
  for (const [name, data] of events) {
    expect((data as { type: string }).type).toBe(name);
    if (name !== 'ping') expectSchema('anthropic', 'MessageStreamEvent', data);
  }
  const usage = { server_tool_use: null, cache_creation_input_tokens: 0 };
  expect(events.map(([, data]) => data)).toMatchObject([
    {
      type: 'message_start',
      message: { role: 'assistant', content: [], stop_reason: null, usage: { ...usage, output_tokens: 0 } },
    },
    { type: 'ping' },
    { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'm.' } },
    {
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'signature_delta', signature: expect.stringMatching(/./) },
    },
    { type: 'content_block_stop', index: 0 },
    { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'So' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: ' 4' } },
    { type: 'content_block_stop', index: 1 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { ...usage, output_tokens: expect.any(Number) },
    },
    { type: 'message_stop' },
  ]);
});

test('leaves out thoughts that are not wanted, and takes them back from their signature', async () => {
  const { url } = await serve(SCRIPT);
  const body = { max_tokens: 50, thinking: { type: 'adaptive', display: 'omitted' }, messages: ask('please think') };
  const whole = (await post(`${url}/v1/messages`, { model: 'scripted', ...body })).body as Anthropic.Message;
  expectSchema('anthropic', 'Message', whole);
  const streamed = readMessageStream(await stream(url, body));
  for (const { content } of [whole, streamed])
    expect(content).toMatchObject([
      { type: 'thinking', thinking: '', signature: expect.stringMatching(/./) },
      { type: 'text', text: 'So 4' },
    ]);
  expect(whole.usage.output_tokens).toBe(streamed.usage.output_tokens);
  const messages = [...ask('please think'), { role: 'assistant', content: whole.content }, ...ask('Count on')];
  expect(messagePrompt({ messages }).messages[1]).toEqual({ role: 'assistant', content: 'So 4', reasoning: 'Hmm.' });
});

test('ends a broken stream with an error event and nothing after it', async () => {
  const { url } = await serve(SCRIPT);
  const events = await stream(url, { messages: ask('break') });
  expect(events.at(-1)).toEqual([
    'error',
    {
      type: 'error',
      error: { type: 'api_error', message: expect.any(String) },
      request_id: expect.stringMatching(/^req_/),
    },
  ]);
  expect(events.map(([name]) => name)).not.toContain('message_delta');
});

test('reports stop sequences and max tokens by name', async () => {
  const { url } = await serve(SCRIPT);
  const message = async (extra: object): Promise<unknown> => {
    const { body } = await post(`${url}/v1/messages`, {
      model: 'scripted',
      max_tokens: 50,
      messages: ask('Count to 3'),
      ...extra,
    });
    expectSchema('anthropic', 'Message', body);
    const { content, stop_reason, stop_sequence } = body as {
      content: { text: string }[];
      stop_reason: string;
      stop_sequence: string;
    };
    return [content[0]?.text, stop_reason, stop_sequence];
  };
  expect(await message({ stop_sequences: ['9', '2'] })).toEqual(['1, ', 'stop_sequence', '2']);
  expect(await message({ max_tokens: 3 })).toEqual(['1, 2', 'max_tokens', null]);
  expect(await message({ messages: ask('full') })).toEqual(['no more room', 'max_tokens', null]);
  expect(await message({ max_tokens: 0 })).toEqual([undefined, 'max_tokens', null]);
});

test('counts what came from the cache apart from the input', async () => {
  const { url } = await serve(SCRIPT);
  const body = { model: 'scripted', max_tokens: 9, messages: ask(`${'Please. '.repeat(20)}Count to 3.`) };
  const usage = async () => ((await post(`${url}/v1/messages`, body)).body as Anthropic.Message).usage;
  const first = await usage();
  const second = await usage();
  expect(first.cache_read_input_tokens).toBe(0);
  expect(second.cache_read_input_tokens).toBeGreaterThan(0);
  expect(second.input_tokens + (second.cache_read_input_tokens ?? 0)).toBe(first.input_tokens);
  const [[, start] = []] = await stream(url, body);
  expect(start).toMatchObject({ message: { usage: { input_tokens: second.input_tokens } } });
});

test('honours sampling fields in every version, unless it is to be strict', async () => {
  const status = async (strict: boolean, version: string, extra: object) => {
    const { url } = await serve(SCRIPT, { strict });
    const body = { model: 'scripted', max_tokens: 9, messages: ask('Count to 3'), ...extra };
    return post(`${url}/v1/messages`, body, version === '' ? {} : { 'anthropic-version': version });
  };
  for (const version of ['2023-06-01', '2026-10-21', ''])
    expect((await status(false, version, { temperature: 0.5, top_p: 0.9, top_k: 5 })).status).toBe(200);
  expect((await status(true, '2023-06-01', { temperature: 0.5 })).status).toBe(200);
  expect((await status(true, '2026-10-21', { temperature: null })).status).toBe(200);
  for (const field of ['temperature', 'top_p', 'top_k']) {
    const { status: code, body } = await status(true, '2026-10-21', { [field]: 1 });
    expect([code, body]).toMatchObject([400, { error: { message: `${field}: Extra inputs are not permitted` } }]);
  }
});

test('counts tools and earlier calls', async () => {
  const { url } = await serve(SCRIPT);
  const count = async (extra: object) => {
    const { body } = await post(`${url}/v1/messages/count_tokens`, {
      model: 'scripted',
      messages: ask('hi'),
      ...extra,
    });
    return (body as { input_tokens: number }).input_tokens;
  };
  const alone = await count({});
  const small = await count({ tools: [{ name: 'f', input_schema: {} }] });
  const large = await count({ tools: [{ name: 'f', description: 'x'.repeat(500), input_schema: {} }] });
  expect(small).toBeGreaterThan(alone);
  expect(large).toBeGreaterThanOrEqual(small + 500);
  expect(await count({ tools: [{ name: 'f', input_schema: {} }], tool_choice: { type: 'none' } })).toBe(alone);
  const use = (command: string) => [
    ...ask('hi'),
    { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'f', input: { command } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't' }] },
  ];
  expect(await count({ messages: use('x'.repeat(100)) })).toBe((await count({ messages: use('') })) + 100);
});
