/** Calls, warnings and structured answers of OpenAI chats, as the official SDKs see them and as the wire shows them. */
import type OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ChatPrompt, GenerationRequest } from '../../src/runtime/api.ts';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post } from '../support/serve.ts';
import { call, finish, lastText, say, serveTold, type Told, think } from '../support/told-engine.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const CALLS = [
  ...call(0, 'weather', ['{"city"', ': "Os', 'lo"}']),
  ...call(1, 'time', ['{}']),
  finish('tool_calls', { reasoningTokens: 3 }),
];

const WARNING: Told = { type: 'warning', code: 'malformed_tool_call', message: 'the call has no name' };

const tell = ({ prompt }: GenerationRequest): readonly (Told | Error)[] => {
  const text = lastText(prompt);
  if (text.includes('nameless')) return [...call(0, '', ['{}']), finish('tool_calls')];
  if (text.includes('rain')) return [say('It rains.'), finish()];
  if (text.includes('both')) return [think('Hm.'), say('I look: '), ...CALLS];
  if (text.includes('broken')) return [WARNING, say('<tool_call>{'), finish()];
  if (text.includes('given up')) {
    const [start, piece] = call(0, 'weather', ['{"city": ']);
    return [
      start!,
      piece!,
      { ...WARNING, index: 0 } as Told,
      say('<tool_call>…'),
      ...call(1, 'time', ['{}']),
      finish('tool_calls'),
    ];
  }
  if (text.includes('cut')) return [...call(0, 'weather', ['{"city": "Os']).slice(0, 2), finish('length')];
  if (text.includes('fail')) return [...call(0, 'weather', ['{"ci']).slice(0, 2), new Error('boom')];
  if (text.includes('JSON')) return [say('{"city":'), say('"Oslo"}'), finish()];
  return CALLS;
};

const ask = (content: string) => [{ role: 'user' as const, content }];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const tool = (name: string) => ({ type: 'function' as const, function: { name, parameters } });
const tools = [tool('weather'), tool('time')];
const body = (content: string, more: object = {}) => ({ model: 'scripted', messages: ask(content), tools, ...more });

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  const connect = async () => {
    const served = await serveTold(tell);
    return { ...served, client: new Sdk({ baseURL: `${served.url}/v1`, apiKey: 'x', maxRetries: 0 }) };
  };

  test('gets whole calls, and no content beside them', async () => {
    const { client } = await connect();
    const completion = await client.chat.completions.create(body('Weather?'));
    expectSchema('openai', 'CreateChatCompletionResponse', completion);
    expect(completion.choices[0]).toEqual({
      index: 0,
      message: {
        role: 'assistant',
        content: null,
        refusal: null,
        tool_calls: [
          { id: 'call_0_weather', type: 'function', function: { name: 'weather', arguments: '{"city": "Oslo"}' } },
          { id: 'call_1_time', type: 'function', function: { name: 'time', arguments: '{}' } },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    });
    expect(completion.usage).toMatchObject({
      prompt_tokens: 20,
      completion_tokens: 9,
      total_tokens: 29,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 3 },
    });
    expect(completion).not.toHaveProperty('warnings');
  });

  test('assembles streamed calls after text and thoughts', async () => {
    const { client } = await connect();
    const stream = client.chat.completions.stream(body('both'));
    const pieces: string[] = [];
    stream.on('tool_calls.function.arguments.delta', ({ name, arguments_delta: delta }) =>
      pieces.push(`${name} ${delta}`),
    );
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'I look: ',
        tool_calls: [
          { id: 'call_0_weather', type: 'function', function: { name: 'weather', arguments: '{"city": "Oslo"}' } },
          { id: 'call_1_time', type: 'function', function: { name: 'time', arguments: '{}' } },
        ],
      },
    });
    expect(pieces.filter((piece) => !/ $/.test(piece))).toEqual([
      'weather {"city"',
      'weather : "Os',
      'weather lo"}',
      'time {}',
    ]);
  });

  test.each([false, true])('runs a tool loop to its end (stream: %s)', async (stream) => {
    const { client, requests } = await connect();
    const asked: unknown[] = [];
    const run = (name: string, result: string) => ({
      type: 'function' as const,
      function: {
        name,
        description: '',
        parameters,
        parse: (text: string) => JSON.parse(text) as unknown,
        function: (given: unknown) => {
          asked.push([name, given]);
          return result;
        },
      },
    });
    const params = {
      model: 'scripted',
      messages: ask('Weather?'),
      tools: [run('weather', 'rain'), run('time', 'rain at noon')],
    };
    const runner = stream
      ? client.chat.completions.runTools({ ...params, stream: true })
      : client.chat.completions.runTools(params);
    expect(await runner.finalContent()).toBe('It rains.');
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
      { role: 'tool', content: 'rain at noon', name: 'time', toolCallId: 'call_1_time' },
    ]);
  });

  test('parses structured answers, streamed or not', async () => {
    const { client, requests } = await connect();
    const shape = z.object({ city: z.string() });
    const params = { model: 'scripted', messages: ask('JSON'), response_format: zodResponseFormat(shape, 'place') };
    const parsed = await client.chat.completions.parse(params);
    expect(parsed.choices[0]?.message.parsed).toEqual({ city: 'Oslo' });
    const streamed = await client.chat.completions.stream(params).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual({ city: 'Oslo' });
    for (const { constraint } of requests)
      expect(constraint).toMatchObject({ kind: 'json_schema', schema: { properties: { city: { type: 'string' } } } });
  });

  test('keeps a malformed call as text with a warning', async () => {
    const { client } = await connect();
    const warnings = [{ choice: 0, code: 'malformed_tool_call', message: 'the call has no name' }];
    const whole = await client.chat.completions.create(body('broken'));
    expectSchema('openai', 'CreateChatCompletionResponse', whole);
    expect(whole).toMatchObject({
      warnings,
      choices: [{ finish_reason: 'stop', message: { content: '<tool_call>{' } }],
    });
    const streamed = await client.chat.completions.stream(body('broken')).finalChatCompletion();
    expect(streamed).toMatchObject({
      warnings,
      choices: [{ finish_reason: 'stop', message: { content: '<tool_call>{' } }],
    });
  });

  test('is told of a failure inside a call', async () => {
    const { client } = await connect();
    const finished: unknown[] = [];
    const reading = (async () => {
      const stream = await client.chat.completions.create({ ...body('fail'), stream: true as const });
      for await (const { choices } of stream) finished.push(choices[0]?.finish_reason);
    })();
    await expect(reading).rejects.toBeInstanceOf(Sdk.APIError);
    expect(finished.every((reason) => reason === null)).toBe(true);
    await expect(client.chat.completions.create(body('fail'))).rejects.toMatchObject({ status: 500 });
  });
});

const stream = async (url: string, request: object) => {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...request, stream: true }),
  });
  const events = parseSse(await answer.text()).map(([, data]) => data);
  expect(events.at(-1)).toBe('[DONE]');
  return events.slice(0, -1) as OpenAI.ChatCompletionChunk[];
};

test('writes name and id of a call once, then its arguments as they are made', async () => {
  const { url } = await serveTold(tell);
  const chunks = await stream(url, body('both', { stream_options: { include_usage: true } }));
  for (const chunk of chunks) expectSchema('openai', 'CreateChatCompletionStreamResponse', chunk);
  const start = (index: number, id: string, name: string) => ({
    tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
  });
  const piece = (index: number, text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] });
  expect(chunks.flatMap(({ choices }) => choices.map(({ delta, finish_reason }) => [delta, finish_reason]))).toEqual([
    [{ role: 'assistant', content: '' }, null],
    [{ reasoning_content: 'Hm.', reasoning: 'Hm.' }, null],
    [{ content: 'I look: ' }, null],
    [start(0, 'call_0_weather', 'weather'), null],
    [piece(0, '{"city"'), null],
    [piece(0, ': "Os'), null],
    [piece(0, 'lo"}'), null],
    [start(1, 'call_1_time', 'time'), null],
    [piece(1, '{}'), null],
    [{}, 'tool_calls'],
  ]);
  expect(chunks.map(({ usage }) => usage === null)).toEqual([...Array(10).fill(true), false]);
});

test('finishes each of n choices that call tools by itself', async () => {
  const { url } = await serveTold(tell);
  const chunks = await stream(url, body('Weather?', { n: 3 }));
  const reasons = chunks.flatMap(({ choices }) => choices.filter(({ finish_reason: reason }) => reason !== null));
  expect(reasons.map(({ index, finish_reason: reason }) => [index, reason]).sort()).toEqual([
    [0, 'tool_calls'],
    [1, 'tool_calls'],
    [2, 'tool_calls'],
  ]);
});

test('says of a call that a limit cut off what there is, with the reason `length`', async () => {
  const { url } = await serveTold(tell);
  const { body: whole } = await post(`${url}/v1/chat/completions`, body('cut'));
  expect(whole).toMatchObject({
    choices: [{ finish_reason: 'length', message: { tool_calls: [{ function: { arguments: '{"city": "Os' } }] } }],
  });
});

test('gives a call that was given up as text alone', async () => {
  const { url } = await serveTold(tell);
  const { body: whole } = await post(`${url}/v1/chat/completions`, body('given up'));
  expect(whole).toMatchObject({
    warnings: [{ code: 'malformed_tool_call' }],
    choices: [{ message: { content: '<tool_call>…', tool_calls: [{ function: { name: 'time' } }] } }],
  });
});

test('answers older `functions` in their own form', async () => {
  const { url } = await serveTold(tell);
  const functions = [{ name: 'weather', parameters }];
  const request = { model: 'scripted', messages: ask('Weather?'), functions };
  const { body: whole } = await post(`${url}/v1/chat/completions`, request);
  expectSchema('openai', 'CreateChatCompletionResponse', whole);
  expect((whole as OpenAI.ChatCompletion).choices[0]).toMatchObject({
    finish_reason: 'function_call',
    message: { content: null, function_call: { name: 'weather', arguments: '{"city": "Oslo"}' } },
  });
  const deltas = (await stream(url, request)).map(({ choices }) => choices[0]?.delta.function_call);
  expect(deltas.filter((delta) => delta !== undefined)).toEqual([
    { name: 'weather', arguments: '' },
    { arguments: '{"city"' },
    { arguments: ': "Os' },
    { arguments: 'lo"}' },
  ]);
});

test('passes on a call that has no name', async () => {
  const { url } = await serveTold(tell);
  const { body: whole } = await post(`${url}/v1/chat/completions`, body('nameless'));
  expect(whole).toMatchObject({
    choices: [{ message: { tool_calls: [{ function: { name: '', arguments: '{}' } }] } }],
  });
});
