/** Calls that a model writes as text, in both dialects, from its tokens to the wire. */
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { ANTHROPIC_SDKS, OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const call = (name: string, args: object): string =>
  `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`;
/** Arguments that look like the end of a call. */
const TRICKY = { path: 'a.txt', content: 'ends with </tool_call>\n{"name": "x"} and "quotes" \\ ☃' };
const pieces = (text: string): string[] => text.match(/.{1,5}/gsu) ?? [];

const SCRIPT: Script = {
  reasoningFormat: 'think',
  toolFormat: 'hermes',
  replies: [
    { when: 'done', tokens: ['All', ' done.'] },
    {
      when: 'broken',
      tokens: pieces('Well: <tool_call>\n{"name": "write", "arguments": {"path": oops}}\n</tool_call>'),
    },
    {
      when: 'late',
      tokens: pieces('<tool_call>\n{"name": "write", "arguments": {"path": "a.txt", "content": oops}}\n</tool_call>'),
    },
    { when: 'cut', tokens: pieces(call('write', TRICKY).slice(0, 60)), finish: 'length' },
    {
      tokens: pieces(`<think>I must write.</think>I write: ${call('write', TRICKY)}\n${call('list', {})}`),
    },
  ],
};

const schema = { type: 'object', properties: { path: { type: 'string' }, content: { type: 'string' } } };
const names = ['write', 'list'];
const ask = (content: string) => [{ role: 'user', content }];

test.each(OPENAI_SDKS)(
  '%s reads a stream with a malformed call, and one with a call that was cut off',
  async (_name, Sdk) => {
    const { url } = await serve(SCRIPT);
    const client = new Sdk({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 });
    const tools = names.map((name) => ({ type: 'function' as const, function: { name, parameters: schema } }));
    const final = async (content: string) => {
      const messages = [{ role: 'user' as const, content }];
      return (await client.chat.completions.stream({ model: 'scripted', messages, tools }).finalChatCompletion())
        .choices[0]!;
    };
    expect(await final('broken')).toMatchObject({
      finish_reason: 'stop',
      message: { content: expect.stringContaining('oops') },
    });
    expect(await final('late')).toMatchObject({
      finish_reason: 'stop',
      message: { content: expect.stringContaining('oops') },
    });
  },
);

test.each(ANTHROPIC_SDKS)(
  '%s reads a stream with a malformed call, and one with a call that was cut off',
  async (_name, Sdk) => {
    const { url } = await serve(SCRIPT);
    const client = new Sdk({ baseURL: url, apiKey: 'x', maxRetries: 0 });
    const tools = names.map((name) => ({ name, input_schema: { ...schema, type: 'object' as const } }));
    const final = (content: string) =>
      client.messages
        .stream({ model: 'scripted', max_tokens: 500, messages: [{ role: 'user', content }], tools })
        .finalMessage();
    for (const content of ['broken', 'late']) {
      const message = await final(content);
      expect(message.stop_reason).toBe('end_turn');
      expect(message.content.at(-1)).toMatchObject({ type: 'text', text: expect.stringContaining('oops') });
    }
    expect(await final('cut')).toMatchObject({ stop_reason: 'max_tokens', content: [{ input: { path: 'a.txt' } }] });
  },
);

describe('OpenAI', () => {
  const body = (content: string, more: object = {}) => ({
    model: 'scripted',
    messages: ask(content),
    tools: names.map((name) => ({ type: 'function', function: { name, parameters: schema } })),
    ...more,
  });
  const chat = async (request: object) => {
    const { url } = await serve(SCRIPT);
    const answer = await post(`${url}/v1/chat/completions`, request);
    expect(answer.status).toBe(200);
    expectSchema('openai', 'CreateChatCompletionResponse', answer.body);
    return answer.body as OpenAI.ChatCompletion & { warnings?: object[] };
  };
  const streamed = async (request: object) => {
    const { url } = await serve(SCRIPT);
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...request, stream: true }),
    });
    const chunks = parseSse(await answer.text()).slice(0, -1) as [string, OpenAI.ChatCompletionChunk][];
    return chunks.map(([, chunk]) => chunk);
  };
  const functionOf = (each: OpenAI.ChatCompletionMessageToolCall | undefined) =>
    each?.type === 'function' ? [each.function.name, JSON.parse(each.function.arguments)] : undefined;

  test('gets thoughts, text and both calls, streamed as whole', async () => {
    const { choices, warnings } = await chat(body('go'));
    const { message, finish_reason: reason } = choices[0]!;
    expect(reason).toBe('tool_calls');
    expect(warnings).toBeUndefined();
    expect(message).toMatchObject({ reasoning_content: 'I must write.', content: expect.stringContaining('I write:') });
    expect(message.tool_calls?.map(functionOf)).toEqual([
      ['write', TRICKY],
      ['list', {}],
    ]);
    const parts = [
      { name: '', text: '' },
      { name: '', text: '' },
    ];
    let numPieces = 0;
    for (const { choices } of await streamed(body('go'))) {
      for (const { index, function: called } of choices[0]?.delta.tool_calls ?? []) {
        parts[index]!.name += called?.name ?? '';
        parts[index]!.text += called?.arguments ?? '';
        numPieces++;
      }
    }
    expect(parts.map(({ name, text }) => [name, JSON.parse(text)])).toEqual([
      ['write', TRICKY],
      ['list', {}],
    ]);
    expect(numPieces).toBeGreaterThan(10);
  });

  test('goes on after the results', async () => {
    const { choices } = await chat(body('go'));
    const calls = choices[0]!.message.tool_calls!;
    const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'done' }));
    const next = await chat(body('', { messages: [...ask('go'), choices[0]!.message, ...results] }));
    expect(next.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'All done.' } });
  });

  test('gets a malformed call as text with a warning, and status 200', async () => {
    const { choices, warnings } = await chat(body('broken'));
    expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringContaining('oops') } });
    expect(choices[0]!.message.tool_calls).toBeUndefined();
    expect(warnings).toMatchObject([{ choice: 0, code: 'malformed_tool_call', message: expect.any(String) }]);
    const last = (await streamed(body('broken'))).at(-1);
    expect(last).toMatchObject({ warnings: [{ code: 'malformed_tool_call' }], choices: [{ finish_reason: 'stop' }] });
  });

  test('gets what there is of a call that a limit cut off', async () => {
    const { choices } = await chat(body('cut'));
    expect(choices[0]).toMatchObject({
      finish_reason: 'length',
      message: {
        tool_calls: [{ function: { name: 'write', arguments: expect.stringMatching(/^\{"path": ?"a\.txt"/) } }],
      },
    });
  });
});

describe('Anthropic', () => {
  const body = (content: string, more: object = {}) => ({
    model: 'scripted',
    max_tokens: 500,
    messages: ask(content),
    tools: names.map((name) => ({ name, input_schema: schema })),
    ...more,
  });
  const message = async (request: object) => {
    const { url } = await serve(SCRIPT);
    const answer = await post(`${url}/v1/messages`, request);
    expect(answer.status).toBe(200);
    expectSchema('anthropic', 'Message', answer.body);
    return answer.body as Anthropic.Message;
  };

  test('gets thoughts, text and both calls, and goes on after the results', async () => {
    const { content, stop_reason } = await message(body('go'));
    expect(stop_reason).toBe('tool_use');
    expect(content).toMatchObject([
      { type: 'thinking', thinking: 'I must write.' },
      { type: 'text', text: expect.stringContaining('I write:') },
      { type: 'tool_use', name: 'write', input: TRICKY },
      { type: 'tool_use', name: 'list', input: {} },
    ]);
    const results = content.flatMap((block) =>
      block.type === 'tool_use' ? [{ type: 'tool_result', tool_use_id: block.id, content: 'done' }] : [],
    );
    const history = [...ask('go'), { role: 'assistant', content }, { role: 'user', content: results }];
    const next = await message(body('', { messages: history }));
    expect(next).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text', text: 'All done.' }] });
  });

  test('streams each call in a block of its own', async () => {
    const { url } = await serve(SCRIPT);
    const answer = await fetch(`${url}/v1/messages`, {
      method: 'POST',
      body: JSON.stringify({ ...body('go'), stream: true }),
    });
    const inputs: string[] = [];
    const kinds: string[] = [];
    let open: number | undefined;
    for (const [name, data] of parseSse(await answer.text())) {
      const event = data as Anthropic.MessageStreamEvent;
      if (name !== 'ping') expectSchema('anthropic', 'MessageStreamEvent', event);
      if (event.type === 'content_block_start') {
        expect(open).toBeUndefined();
        open = event.index;
        kinds.push(event.content_block.type);
        inputs.push('');
      } else if (event.type === 'content_block_delta') {
        expect(event.index).toBe(open);
        if (event.delta.type === 'input_json_delta') inputs[event.index] += event.delta.partial_json;
      } else if (event.type === 'content_block_stop') {
        expect(event.index).toBe(open);
        open = undefined;
      }
    }
    expect(kinds.filter((kind) => kind === 'tool_use')).toHaveLength(2);
    expect(kinds[0]).toBe('thinking');
    expect(inputs.filter((input) => input !== '').map((input) => JSON.parse(input))).toEqual([TRICKY, {}]);
  });

  test('gets a malformed call as text with a warning, and the whole members of one that was cut off', async () => {
    expect(await message(body('broken'))).toMatchObject({
      stop_reason: 'end_turn',
      content: [{ type: 'text', text: expect.stringContaining('oops') }],
      warnings: [{ code: 'malformed_tool_call' }],
    });
    expect(await message(body('cut'))).toMatchObject({
      stop_reason: 'max_tokens',
      content: [{ type: 'tool_use', name: 'write', input: { path: 'a.txt' } }],
    });
  });
});
