/** Calls in the Responses API, from the model's tokens to the SDKs and back. */
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
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

test('runs the loop that Codex runs: everything replayed, nothing stored, whole items and a body that ends', async () => {
  const loop: Script = {
    toolFormat: 'hermes',
    replies: [
      { when: 'plums', tokens: ['It says', ' plums.'] },
      { tokens: pieces(call('exec_command', { cmd: 'cat notes.txt' })) },
    ],
  };
  const { url } = await serve(loop);
  const text = (role: string, said: string) => ({
    type: 'message',
    role,
    content: [{ type: 'input_text', text: said }],
  });
  const ask = async (...items: object[]) => {
    const answer = await fetch(`${url}/v1/responses`, {
      method: 'POST',
      headers: { 'session-id': 's', 'thread-id': 't', originator: 'codex_exec', authorization: 'Bearer none' },
      body: JSON.stringify({
        stream: true,
        store: false,
        temperature: 0,
        input: [text('developer', 'You are Codex.'), text('user', 'What is in notes.txt?'), ...items],
        tools: [
          { type: 'function', name: 'exec_command', strict: false, parameters: { type: 'object', properties: {} } },
          {
            type: 'custom',
            name: 'apply_patch',
            format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
          },
          { type: 'namespace', name: 'mcp', description: '', tools: [{ type: 'function', name: 'f', parameters: {} }] },
          { type: 'web_search', external_web_access: false },
          { type: 'image_generation', output_format: 'png' },
          { type: 'local_shell' },
        ],
        tool_choice: 'auto',
        parallel_tool_calls: true,
        reasoning: { effort: 'medium', summary: 'auto' },
        include: ['reasoning.encrypted_content'],
        prompt_cache_key: 't',
        client_metadata: { 'x-codex-installation-id': 'i' },
      }),
    });
    expect(answer.status).toBe(200);
    const events = parseSse(await answer.text());
    expect(events.at(-1)?.[1]).toBe('[DONE]');
    const last = events.at(-2)?.[1] as { type: string; response: { id: string; usage: object } };
    expect(last).toMatchObject({ type: 'response.completed', response: { id: expect.stringMatching(/^resp_/) } });
    return events.flatMap(([name, data]) =>
      name === 'response.output_item.done' ? [(data as { item: Record<string, unknown> }).item] : [],
    );
  };
  const [called] = await ask();
  expect(called).toMatchObject({
    type: 'function_call',
    name: 'exec_command',
    arguments: '{"cmd":"cat notes.txt"}',
    call_id: expect.any(String),
  });
  const output = [{ type: 'input_text', text: 'plums' }];
  const { status: _status, ...replayed } = called ?? {};
  const answered = await ask(replayed, { type: 'function_call_output', call_id: called?.call_id, output });
  expect(answered).toMatchObject([{ type: 'message', content: [{ text: 'It says plums.' }] }]);
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
