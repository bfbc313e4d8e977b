/** Calls, warnings and structured answers of Anthropic messages, as the official SDKs see them and as the wire shows them. */
import type Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ChatPrompt, GenerationRequest } from '../../src/runtime/api.ts';
import { ANTHROPIC_SDKS } from '../support/sdks.ts';
import { parseSse, post } from '../support/serve.ts';
import { call, finish, lastText, say, serveTold, type Told, think } from '../support/told-engine.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const CALLS = [...call(0, 'weather', ['{"city"', ': "Os', 'lo"}']), ...call(1, 'time', ['{}'])];
const WARNING: Told = { type: 'warning', code: 'malformed_tool_call', message: 'the call has no name' };
const [START, PIECE] = call(0, 'weather', ['{"city": "Oslo", "days": 3, "unit": "cel']) as [Told, Told];

const tell = ({ prompt }: GenerationRequest): readonly (Told | Error)[] => {
  const text = lastText(prompt);
  if (text.includes('nameless')) return [...call(0, '', ['{}']), finish('tool_calls')];
  if (text.includes('rain')) return [say('It rains.'), finish()];
  if (text.includes('all'))
    return [think('H'), think('m.'), say('I look: '), ...CALLS, think('More.'), say('Done'), finish('tool_calls')];
  if (text.includes('broken')) return [WARNING, say('<tool_call>{'), finish()];
  if (text.includes('given up')) return [START, { ...WARNING, index: 0 } as Told, say('<tool_call>…'), finish()];
  if (text.includes('cut')) return [START, PIECE, finish('length')];
  if (text.includes('fail')) return [START, PIECE, new Error('boom')];
  if (text.includes('JSON')) return [say('{"city":'), say('"Oslo"}'), finish()];
  return [...CALLS, finish('tool_calls')];
};

const ask = (content: string) => [{ role: 'user' as const, content }];
const tool = (name: string) => ({
  name,
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } } },
});
const body = (content: string, more: object = {}) => ({
  model: 'scripted',
  max_tokens: 50,
  messages: ask(content),
  tools: [tool('weather'), tool('time')],
  ...more,
});

describe.each(ANTHROPIC_SDKS)('%s', (_name, Sdk) => {
  const connect = async () => {
    const served = await serveTold(tell);
    return { ...served, client: new Sdk({ baseURL: served.url, apiKey: 'x', maxRetries: 0 }) };
  };

  test('gets calls with their input parsed, streamed or not', async () => {
    const { client } = await connect();
    const whole = await client.messages.create(body('Weather?'));
    expectSchema('anthropic', 'Message', whole);
    const stream = client.messages.stream(body('Weather?'));
    const pieces: string[] = [];
    stream.on('inputJson', (piece) => pieces.push(piece));
    const streamed = await stream.finalMessage();
    expect(pieces).toEqual(['{"city"', ': "Os', 'lo"}', '{}']);
    const caller = { type: 'direct' };
    for (const { content, stop_reason } of [whole, streamed]) {
      expect(stop_reason).toBe('tool_use');
      expect(content).toEqual([
        { type: 'tool_use', id: 'call_0_weather', name: 'weather', input: { city: 'Oslo' }, caller },
        { type: 'tool_use', id: 'call_1_time', name: 'time', input: {}, caller },
      ]);
    }
  });

  test('gets thoughts, text and calls in the order in which they were made', async () => {
    const { client } = await connect();
    const whole = await client.messages.create(body('all'));
    const streamed = await client.messages.stream(body('all')).finalMessage();
    for (const { content } of [whole, streamed]) {
      expect(content).toMatchObject([
        { type: 'thinking', thinking: 'Hm.', signature: expect.stringMatching(/./) },
        { type: 'text', text: 'I look: ' },
        { type: 'tool_use', name: 'weather' },
        { type: 'tool_use', name: 'time' },
        { type: 'thinking', thinking: 'More.' },
        { type: 'text', text: 'Done' },
      ]);
    }
    // What went out comes back, block by block.
    const results = ['call_0_weather', 'call_1_time'].map((id) => ({
      type: 'tool_result' as const,
      tool_use_id: id,
      content: 'rain',
    }));
    const history = [
      ...ask('all'),
      { role: 'assistant' as const, content: streamed.content as Anthropic.ContentBlockParam[] },
      { role: 'user' as const, content: results },
    ];
    const next = await client.messages.create({ ...body(''), messages: history });
    expect(next.content).toMatchObject([{ type: 'text', text: 'It rains.' }]);
  });

  test.each([false, true])('runs a tool loop to its end (stream: %s)', async (stream) => {
    const { client, requests } = await connect();
    const asked: unknown[] = [];
    const run = (name: string, answer: () => string) =>
      betaZodTool({
        name,
        description: '',
        inputSchema: z.object({ city: z.string().optional() }),
        run: (input) => {
          asked.push([name, input]);
          return answer();
        },
      });
    const fail = (): string => {
      throw new Error('rain gauge is broken');
    };
    const runner = client.beta.messages.toolRunner({
      model: 'scripted',
      max_tokens: 50,
      messages: ask('Weather?'),
      tools: [run('weather', () => 'rain'), run('time', fail)],
      stream,
    });
    const { content } = await runner.runUntilDone();
    expect(content).toMatchObject([{ type: 'text', text: 'It rains.' }]);
    expect(asked).toEqual([
      ['weather', { city: 'Oslo' }],
      ['time', {}],
    ]);
    expect((requests[1]!.prompt as ChatPrompt).messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          { id: 'call_0_weather', name: 'weather', arguments: { city: 'Oslo' } },
          { id: 'call_1_time', name: 'time', arguments: {} },
        ],
      },
      { role: 'tool', content: 'rain', name: 'weather', toolCallId: 'call_0_weather' },
      { role: 'tool', content: 'Error: rain gauge is broken', name: 'time', toolCallId: 'call_1_time' },
    ]);
  });

  test('parses structured answers, streamed or not', async () => {
    const { client, requests } = await connect();
    const shape = z.object({ city: z.string() });
    const params = {
      model: 'scripted',
      max_tokens: 50,
      messages: ask('JSON'),
      output_config: { format: zodOutputFormat(shape) },
    };
    expect((await client.messages.parse(params)).parsed_output).toEqual({ city: 'Oslo' });
    const streamed = await client.messages.stream(params).finalMessage();
    expect(streamed).toMatchObject({ parsed_output: { city: 'Oslo' } });
    for (const { constraint } of requests)
      expect(constraint).toMatchObject({ kind: 'json_schema', schema: { properties: { city: { type: 'string' } } } });
  });

  test('keeps a malformed call as text with a warning', async () => {
    const { client } = await connect();
    const whole = await client.messages.create(body('broken'));
    expect(whole).toMatchObject({
      warnings: [{ code: 'malformed_tool_call', message: 'the call has no name' }],
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: '<tool_call>{' }],
    });
    const streamed = await client.messages.stream(body('broken')).finalMessage();
    expect(streamed).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text', text: '<tool_call>{' }] });
  });

  test('is told of a failure inside a call', async () => {
    const { client } = await connect();
    await expect(client.messages.stream(body('fail')).finalMessage()).rejects.toBeInstanceOf(Sdk.APIError);
    await expect(client.messages.create(body('fail'))).rejects.toMatchObject({ status: 500 });
  });

  test('counts the tools and the system prompt too', async () => {
    const { client } = await connect();
    const count = async (more: object) =>
      (await client.messages.countTokens({ model: 'scripted', messages: ask('hi'), ...more })).input_tokens;
    const alone = await count({});
    expect(await count({ system: 'Be brief.' })).toBeGreaterThan(alone);
    expect(await count({ tools: [tool('weather')] })).toBeGreaterThan(alone);
  });
});

test('refuses to hold a conversation, in the words that let the SDK go on without', async () => {
  const { url } = await serveTold(tell);
  const refused = await post(`${url}/v1/messages`, body('Weather?', { thread: { type: 'create' } }));
  expect([refused.status, refused.body]).toMatchObject([
    400,
    {
      error: {
        type: 'invalid_request_error',
        message: expect.stringMatching(/^thread: /),
        details: { error_code: 'thread_unsupported_request' },
      },
    },
  ]);
  expectSchema('anthropic', 'ErrorResponse', refused.body);
});

const stream = async (content: string): Promise<readonly unknown[]> => {
  const { url } = await serveTold(tell);
  const request = { ...body(content), stream: true };
  const answer = await fetch(`${url}/v1/messages?beta=true`, { method: 'POST', body: JSON.stringify(request) });
  const events = parseSse(await answer.text());
  for (const [name, data] of events) {
    expect((data as { type: string }).type).toBe(name);
    if (name !== 'ping' && name !== 'error') expectSchema('anthropic', 'MessageStreamEvent', data);
  }
  return events.map(([, data]) => data);
};

const block = (index: number, content_block: object) => ({ type: 'content_block_start', index, content_block });
const delta = (index: number, given: object) => ({ type: 'content_block_delta', index, delta: given });
const stop = (index: number) => ({ type: 'content_block_stop', index });

test('opens one block at a time, each with its own kind of delta, and signs each thought once', async () => {
  const signature = { type: 'signature_delta', signature: expect.stringMatching(/./) };
  const json = (partial_json: string) => ({ type: 'input_json_delta', partial_json });
  const caller = { type: 'direct' };
  expect((await stream('all')).slice(2)).toMatchObject([
    block(0, { type: 'thinking', thinking: '', signature: '' }),
    delta(0, { type: 'thinking_delta', thinking: 'H' }),
    delta(0, { type: 'thinking_delta', thinking: 'm.' }),
    delta(0, signature),
    stop(0),
    block(1, { type: 'text', text: '' }),
    delta(1, { type: 'text_delta', text: 'I look: ' }),
    stop(1),
    block(2, { type: 'tool_use', id: 'call_0_weather', name: 'weather', input: {}, caller }),
    delta(2, json('{"city"')),
    delta(2, json(': "Os')),
    delta(2, json('lo"}')),
    stop(2),
    block(3, { type: 'tool_use', id: 'call_1_time', name: 'time', input: {}, caller }),
    delta(3, json('{}')),
    stop(3),
    block(4, { type: 'thinking' }),
    delta(4, { type: 'thinking_delta', thinking: 'More.' }),
    delta(4, signature),
    stop(4),
    block(5, { type: 'text', text: '' }),
    delta(5, { type: 'text_delta', text: 'Done' }),
    stop(5),
    { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 9 } },
    { type: 'message_stop' },
  ]);
});

test('closes the block of a call that is given up, and warns at the end', async () => {
  expect((await stream('given up')).slice(2)).toMatchObject([
    block(0, { type: 'tool_use' }),
    stop(0),
    block(1, { type: 'text' }),
    delta(1, { type: 'text_delta', text: '<tool_call>…' }),
    stop(1),
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      warnings: [{ code: 'malformed_tool_call', message: 'the call has no name' }],
    },
    { type: 'message_stop' },
  ]);
});

test('ends a stream that fails inside a call with the error alone', async () => {
  const events = await stream('fail');
  expect(events.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  expect(events.at(-2)).toMatchObject({ type: 'content_block_delta' });
});

test('gives the whole members of a call that a limit cut off', async () => {
  const { url } = await serveTold(tell);
  const { body: whole } = await post(`${url}/v1/messages`, body('cut'));
  expect(whole).toMatchObject({
    stop_reason: 'max_tokens',
    content: [{ type: 'tool_use', name: 'weather', input: { city: 'Oslo', days: 3 } }],
  });
  expect((await stream('cut')).slice(-3)).toMatchObject([
    stop(0),
    { type: 'message_delta', delta: { stop_reason: 'max_tokens' } },
    { type: 'message_stop' },
  ]);
});

test('passes on a call that has no name', async () => {
  const { url } = await serveTold(tell);
  const { body: whole } = await post(`${url}/v1/messages`, body('nameless'));
  expect(whole).toMatchObject({ stop_reason: 'tool_use', content: [{ type: 'tool_use', name: '', input: {} }] });
});
