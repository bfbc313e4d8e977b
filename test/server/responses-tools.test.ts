/** Calls in the Responses API, from the model's tokens to the SDKs and back. */
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { post, type Script, serve } from '../support/serve.ts';
import { expectResponseEvent } from '../support/vendor-schemas.ts';

const call = (name: string, args: object): string =>
  `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`;
const pieces = (text: string): string[] => text.match(/.{1,5}/gsu) ?? [];

const SCRIPT: Script = {
  reasoningFormat: 'think',
  toolFormat: 'hermes',
  replies: [
    { when: 'sunny', tokens: ['It is', ' sunny.'] },
    {
      when: 'broken',
      tokens: pieces('Well: <tool_call>\n{"name": "weather", "arguments": {"city": oops}}\n</tool_call>'),
    },
    { when: 'cut', tokens: pieces(call('weather', { city: 'Oslo and more' }).slice(0, 58)), finish: 'length' },
    {
      tokens: pieces(
        `<think>I need the weather.</think>Let me look. ${call('weather', { city: 'Oslo' })}\n${call('mcp__look', {})}`,
      ),
    },
  ],
};

const TOOLS = [
  {
    type: 'function' as const,
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
    strict: false,
  },
  {
    type: 'namespace' as const,
    name: 'mcp',
    description: 'far',
    tools: [{ type: 'function' as const, name: 'look', parameters: { type: 'object', properties: {} }, strict: false }],
  },
];

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  const connect = async () => {
    const { url } = await serve(SCRIPT);
    return { url, client: new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 }) };
  };

  test('calls tools and goes on with their results, by id and by replay alike', async () => {
    const { client } = await connect();
    const input = [{ role: 'user' as const, content: 'How is the weather?' }];
    const stream = client.responses.stream({ model: 'scripted', input, tools: TOOLS, temperature: 0 });
    for await (const event of stream) expectResponseEvent(event);
    const first = await stream.finalResponse();
    expect(first.output).toMatchObject([
      { type: 'reasoning', content: [{ text: 'I need the weather.' }] },
      { type: 'message', content: [{ text: expect.stringContaining('Let me look.') }] },
      { type: 'function_call', name: 'weather', arguments: '{"city":"Oslo"}', status: 'completed' },
      { type: 'function_call', name: 'look', namespace: 'mcp', arguments: '{}' },
    ]);
    const calls = first.output.filter((item) => item.type === 'function_call');
    const results = calls.map(({ call_id }) => ({ type: 'function_call_output' as const, call_id, output: 'sunny' }));
    const byId = await client.responses.create({
      model: 'scripted',
      previous_response_id: first.id,
      input: results,
      tools: TOOLS,
    });
    const byReplay = await client.responses.create({
      model: 'scripted',
      input: [...input, ...(first.output as OpenAI.Responses.ResponseInputItem[]), ...results],
      tools: TOOLS,
      store: false,
    });
    expect([byId.output_text, byReplay.output_text]).toEqual(['It is sunny.', 'It is sunny.']);
    expect(byId.usage?.input_tokens).toBe(byReplay.usage?.input_tokens);
    // The second prompt begins with the first, whose whole blocks are found.
    expect(byId.usage?.input_tokens_details.cached_tokens).toBeGreaterThan((first.usage?.input_tokens ?? 0) - 16);
  });

  test('gets a broken call as text with a warning, and one that was cut off as incomplete', async () => {
    const { client } = await connect();
    const ask = (input: string) =>
      client.responses.stream({ model: 'scripted', input, tools: TOOLS, temperature: 0 }).finalResponse();
    const broken = await ask('broken');
    expect(broken).toMatchObject({ status: 'completed', warnings: [{ code: 'malformed_tool_call' }] });
    expect(broken.output_text).toContain('oops');
    expect(await ask('cut')).toMatchObject({
      status: 'incomplete',
      output: [{ type: 'function_call', name: 'weather', status: 'incomplete' }],
    });
  });
});

test('streams and whole answers tell the same', async () => {
  const { url } = await serve(SCRIPT);
  for (const input of ['How?', 'cut']) {
    const body = { input, tools: TOOLS, temperature: 0, store: false };
    const whole = (await post(`${url}/v1/responses`, body)).body;
    const stream = await fetch(`${url}/v1/responses`, {
      method: 'POST',
      body: JSON.stringify({ ...body, stream: true }),
    });
    const last = /data: (.*)\n\ndata: \[DONE\]\n\n$/.exec(await stream.text())?.[1] ?? '';
    const { response } = JSON.parse(last) as { response: object };
    const comparable = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, inner) =>
        ['id', 'call_id', 'created_at', 'completed_at', 'cached_tokens'].includes(key) ? undefined : (inner as unknown),
      );
    expect(comparable(whole)).toEqual(comparable(response));
  }
});
