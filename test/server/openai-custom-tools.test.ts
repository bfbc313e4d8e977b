/** Custom tools: one text in place of arguments, in chats and in responses, and what may be in it. */
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { call, finish, say, serveTold } from '../support/told-engine.ts';

const TEXT = '*** Begin\n"é" \\ 😀';
const written = JSON.stringify({ name: 'patch', arguments: { input: TEXT } });
const SCRIPT: Script = {
  toolFormat: 'hermes',
  replies: [
    {
      when: 'both',
      tokens: [
        '<tool_call>',
        written,
        '</tool_call>',
        '<tool_call>',
        '{"name":"f","arguments":{"a":1}}',
        '</tool_call>',
      ],
    },
    {
      when: 'wrong',
      tokens: ['<tool_call>', '{"name": "pick", "arguments": {"input": "nothing of it"}}', '</tool_call>'],
    },
    { tokens: ['<tool_call>', ...written.match(/.{1,3}/gsu)!, '</tool_call>'] },
  ],
};
const PATCH = { type: 'custom', custom: { name: 'patch', description: 'Patches.' } } as const;
const F = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } } as const;
const ask = (content: string) => [{ role: 'user' as const, content }];
const chat = async (url: string, body: object): Promise<{ status: number; body: unknown }> =>
  post(`${url}/v1/chat/completions`, { model: 'scripted', messages: ask('go'), ...body });
const messageOf = ({ body }: { body: unknown }) => (body as OpenAI.ChatCompletion).choices[0]!.message;

describe('in a chat', () => {
  test('a call has the text alone, beside calls of functions', async () => {
    const { url } = await serve(SCRIPT);
    const answer = await chat(url, { messages: ask('both'), tools: [PATCH, F] });
    expect(messageOf(answer)).toMatchObject({
      content: null,
      tool_calls: [
        { type: 'custom', custom: { name: 'patch', input: TEXT } },
        { type: 'function', function: { name: 'f', arguments: expect.stringMatching(/^\{"a": ?1\}$/) } },
      ],
    });
    expect((answer.body as OpenAI.ChatCompletion).choices[0]?.finish_reason).toBe('tool_calls');
  });

  test.each(OPENAI_SDKS)('%s reads a streamed call', async (_name, Sdk) => {
    const { url } = await serve(SCRIPT);
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: 'scripted',
      messages: ask('go'),
      tools: [PATCH],
      stream: true,
    });
    const deltas: { type?: string; custom?: { name?: string; input?: string } }[] = [];
    for await (const { choices } of stream) deltas.push(...((choices[0]?.delta.tool_calls ?? []) as typeof deltas));
    expect(deltas[0]).toMatchObject({
      index: 0,
      id: expect.any(String),
      type: 'custom',
      custom: { name: 'patch', input: '' },
    });
    expect(
      deltas.slice(1).every((delta) => !('id' in delta) && !('type' in delta) && delta.custom?.name === undefined),
    ).toBe(true);
    expect(deltas.map(({ custom }) => custom?.input).join('')).toBe(TEXT);
    expect(deltas.length).toBeGreaterThan(4);
  });

  test('the newest SDK assembles it', async () => {
    const { url } = await serve(SCRIPT);
    const Sdk = OPENAI_SDKS[1][1];
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
    const completion = await client.chat.completions
      .stream({ model: 'scripted', messages: ask('both'), tools: [PATCH, F] })
      .finalChatCompletion();
    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { type: 'custom', custom: { name: 'patch', input: TEXT } },
      { type: 'function', function: { name: 'f' } },
    ]);
  });

  test('is chosen by name, and among those that are allowed', async () => {
    const { url } = await serve(SCRIPT);
    const named = { type: 'custom', custom: { name: 'patch' } };
    for (const choice of [
      named,
      { type: 'custom', name: 'patch' },
      { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named] } },
    ]) {
      const message = messageOf(await chat(url, { messages: ask('both'), tools: [F, PATCH], tool_choice: choice }));
      expect(message.tool_calls).toMatchObject([{ type: 'custom', custom: { name: 'patch', input: TEXT } }]);
    }
    const { status, body } = await chat(url, { tools: [F], tool_choice: named });
    expect([status, body]).toMatchObject([400, { error: { param: 'tool_choice' } }]);
  });

  test('what a limit cut off is told as far as it goes', async () => {
    const cut = [...call(0, 'patch', ['{"input": "*** Be']).slice(0, 2), finish('length')];
    const { url } = await serveTold(() => cut);
    const answer = await chat(url, { tools: [PATCH] });
    expect(messageOf(answer).tool_calls).toMatchObject([{ custom: { input: '*** Be' } }]);
    const streamed = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'scripted', messages: ask('go'), tools: [PATCH], stream: true }),
    });
    const inputs = parseSse(await streamed.text()).map(([, data]) => {
      const { choices } = data as { choices?: { delta: { tool_calls?: { custom: { input: string } }[] } }[] };
      return choices?.[0]?.delta.tool_calls?.[0]?.custom.input ?? '';
    });
    expect(inputs.join('')).toBe('*** Be');
  });

  test('a broken tool is refused with its place', async () => {
    const { url } = await serveTold(() => [say('x'), finish()]);
    for (const [tool, param] of [
      [{ type: 'custom', custom: {} }, 'tools[0].custom.name'],
      [{ type: 'custom' }, 'tools[0].custom'],
      [{ type: 'custom', custom: { name: 'a b' } }, 'tools[0].custom.name'],
    ] as const)
      expect((await chat(url, { tools: [tool] })).body).toMatchObject({ error: { param } });
  });
});

describe('a regular expression', () => {
  const grammar = { syntax: 'regex', definition: '[a-c]{3}|"\\d+"' };
  const pick = { type: 'custom', custom: { name: 'pick', format: { type: 'grammar', grammar } } };
  const flat = { type: 'custom', name: 'pick', format: { type: 'grammar', ...grammar } };
  const kept = /^(?:[a-c]{3}|"\d+")$/;

  test('is kept, whatever the model would rather write', async () => {
    const { url } = await serve(SCRIPT);
    const [made] = messageOf(await chat(url, { messages: ask('wrong'), tools: [pick] })).tool_calls ?? [];
    expect(Reflect.get(made!, 'custom')).toMatchObject({ name: 'pick', input: expect.stringMatching(kept) });
    const { body } = await post(`${url}/v1/responses`, { input: 'wrong', tools: [flat], tool_choice: 'required' });
    expect(body).toMatchObject({
      output: [{ type: 'custom_tool_call', name: 'pick', input: expect.stringMatching(kept) }],
      tools: [flat],
    });
  });

  test('that cannot be kept is refused with its place; other grammars are told to the model alone', async () => {
    const { url } = await serve(SCRIPT);
    const ahead = { ...grammar, definition: '(?=a)b' };
    const nested = { ...pick.custom, format: { type: 'grammar', grammar: ahead } };
    expect((await chat(url, { tools: [F, { type: 'custom', custom: nested }] })).body).toMatchObject({
      error: { code: 'invalid_function_parameters', param: 'tools[1].custom.format' },
    });
    const response = { input: 'x', tools: [{ ...flat, format: { type: 'grammar', ...ahead } }] };
    expect((await post(`${url}/v1/responses`, response)).body).toMatchObject({
      error: { code: 'invalid_function_parameters', param: 'tools[0].format.definition' },
    });
    const lark = { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "x"' } };
    const told = await chat(url, { tools: [{ type: 'custom', custom: { name: 'patch', format: lark } }] });
    expect(messageOf(told).tool_calls).toMatchObject([{ custom: { input: TEXT } }]);
  });
});
