/** Tools, their choice, their calls and results, and formats of OpenAI's chat bodies, before any engine sees them. */
import { describe, expect, test } from 'vitest';
import type { ChatPrompt } from '../../src/runtime/api.ts';
import { chat, chatPrompt, refusal, user } from '../support/parse.ts';

const fn = (name: string, more: object = {}) => ({ type: 'function', function: { name, ...more } });
const TOOLS = [fn('a'), fn('b'), fn('c')];
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

describe('tools', () => {
  test('are read in both shapes; those of unknown types are skipped', () => {
    const weather = { name: 'weather', description: 'Tells the weather', parameters, strict: true };
    const tools = [
      { type: 'function', function: weather },
      { type: 'function', ...weather, name: 'flat' },
      { type: 'function', function: { name: 'bare', description: null, parameters: null, strict: null } },
      { type: 'web_search' },
      { type: 'code_interpreter', container: {} },
      { type: 'namespace', name: 'x', tools: [{}] },
      { type: 'mcp', server_label: 5 },
      fn('bare'),
    ];
    expect(chatPrompt({ tools }).tools).toEqual([weather, { ...weather, name: 'flat' }, { name: 'bare' }]);
    expect(chatPrompt({ tools: [{ type: 'web_search' }] }).tools).toBeUndefined();
    expect(chatPrompt({ tools: [] }).tools).toBeUndefined();
  });

  test('as older `functions` become tools, and their choice one without parallel calls', () => {
    const functions = [{ name: 'a', parameters }, { name: 'b' }];
    expect(chatPrompt({ functions }).tools).toEqual([{ name: 'a', parameters }, { name: 'b' }]);
    const choice = (function_call: unknown) => chat({ functions, function_call }).toolChoice;
    expect(choice(undefined)).toEqual({ mode: 'auto', parallel: false });
    expect(choice('auto')).toEqual({ mode: 'auto', parallel: false });
    expect(choice('none')).toEqual({ mode: 'none', parallel: false });
    expect(choice({ name: 'b' })).toEqual({ mode: 'required', names: ['b'], parallel: false });
    expect(chatPrompt({ functions, tools: TOOLS }).tools?.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test('are chosen in every way that OpenAI has', () => {
    const choice = (tool_choice: unknown, more: object = {}) => chat({ tools: TOOLS, tool_choice, ...more }).toolChoice;
    expect(choice(undefined)).toBeUndefined();
    expect(choice(null)).toBeUndefined();
    expect(choice('auto')).toBeUndefined();
    expect(choice({ type: 'auto' })).toBeUndefined();
    expect(choice('auto', { parallel_tool_calls: false })).toEqual({ mode: 'auto', parallel: false });
    expect(choice('none')).toEqual({ mode: 'none', parallel: true });
    expect(choice('required')).toEqual({ mode: 'required', parallel: true });
    expect(choice('required', { parallel_tool_calls: false })).toEqual({ mode: 'required', parallel: false });
    expect(choice(fn('b'))).toEqual({ mode: 'required', names: ['b'], parallel: false });
    expect(choice({ type: 'function', name: 'b' })).toEqual({ mode: 'required', names: ['b'], parallel: false });
    const allowed = { mode: 'auto', tools: [fn('a'), { type: 'function', name: 'c' }, { type: 'web_search' }] };
    expect(choice({ type: 'allowed_tools', allowed_tools: allowed })).toEqual({
      mode: 'auto',
      names: ['a', 'c'],
      parallel: true,
    });
    expect(choice({ type: 'allowed_tools', ...allowed, mode: 'required' })).toEqual({
      mode: 'required',
      names: ['a', 'c'],
      parallel: true,
    });
    expect(choice({ type: 'allowed_tools', mode: 'auto', tools: [] })).toEqual({ mode: 'none', parallel: true });
  });

  test('that are chosen must be there', () => {
    const refused = (body: object) => refusal(() => chat(body));
    expect(refused({ tools: TOOLS, tool_choice: fn('z') })).toMatchObject({
      code: 'invalid_request',
      param: 'tool_choice',
      message: expect.stringContaining("'z'"),
    });
    expect(refused({ tool_choice: 'required' }).param).toBe('tool_choice');
    expect(refused({ tools: [{ type: 'web_search' }], tool_choice: 'required' }).param).toBe('tool_choice');
    expect(refused({ tools: TOOLS, tool_choice: { type: 'allowed_tools', mode: 'required', tools: [] } }).param).toBe(
      'tool_choice',
    );
    expect(
      refused({ tools: TOOLS, tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [fn('z')] } }).message,
    ).toContain("'z'");
    expect(chat({ tool_choice: 'auto' }).toolChoice).toBeUndefined();
    expect(chat({ tool_choice: 'none' }).toolChoice).toBeUndefined();
  });
});

describe('earlier calls', () => {
  const call = (id: string, name: string, args: unknown) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });

  test('and their results keep ids, names, arguments, thoughts and order', () => {
    const messages = [
      user('Weather?'),
      {
        role: 'assistant',
        content: null,
        reasoning_content: 'Look it up.',
        tool_calls: [call('c1', 'weather', '{"city": "Oslo", "days": [1, 2]}'), call('c2', 'time', '{}')],
      },
      { role: 'tool', tool_call_id: 'c2', content: [{ type: 'text', text: 'noon' }] },
      { role: 'tool', tool_call_id: 'c1', content: 'rain' },
      { role: 'assistant', content: 'It rains at noon.' },
    ];
    expect(chatPrompt({ messages }).messages).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: '',
        reasoning: 'Look it up.',
        toolCalls: [
          { id: 'c1', name: 'weather', arguments: { city: 'Oslo', days: [1, 2] } },
          { id: 'c2', name: 'time', arguments: {} },
        ],
      },
      { role: 'tool', content: [{ type: 'text', text: 'noon' }], name: 'time', toolCallId: 'c2' },
      { role: 'tool', content: 'rain', name: 'weather', toolCallId: 'c1' },
      { role: 'assistant', content: 'It rains at noon.' },
    ]);
  });

  test('with malformed arguments do not end the conversation: what was written stays visible', () => {
    const given = (args: unknown) =>
      chatPrompt({
        messages: [
          user('x'),
          { role: 'assistant', tool_calls: [call('c', 'f', args)] },
          { role: 'tool', tool_call_id: 'c', content: '' },
        ],
      }).messages[1]?.toolCalls?.[0]?.arguments;
    expect(given('{"city": "Os')).toEqual({ malformed_arguments: '{"city": "Os' });
    expect(given('[1]')).toEqual({ malformed_arguments: '[1]' });
    expect(given('5')).toEqual({ malformed_arguments: '5' });
    expect(given('')).toEqual({});
    expect(given(undefined)).toEqual({});
    expect(given({ city: 'Oslo' })).toEqual({ city: 'Oslo' });
  });

  test('in the older form, and of custom tools, are understood', () => {
    const messages = [
      user('x'),
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
      { role: 'function', name: 'f', content: 'one' },
      { role: 'assistant', tool_calls: [{ id: 'p', type: 'custom', custom: { name: 'patch', input: '*** Begin' } }] },
      { role: 'tool', tool_call_id: 'p', content: 'done' },
    ];
    const read = chatPrompt({ messages }).messages;
    expect(read[1]?.toolCalls).toEqual([{ id: expect.any(String), name: 'f', arguments: { a: 1 } }]);
    expect(read[2]).toEqual({
      role: 'tool',
      content: 'one',
      name: 'f',
      toolCallId: read[1]?.toolCalls?.[0]?.id,
    });
    expect(read[3]?.toolCalls).toEqual([{ id: 'p', name: 'patch', arguments: { input: '*** Begin' } }]);
  });

  test('must come before their results', () => {
    const messages = (...more: object[]) => ({ messages: [user('x'), ...more] });
    const result = { role: 'tool', tool_call_id: 'c1', content: 'x' };
    const assistant = { role: 'assistant', tool_calls: [call('c1', 'f', '{}')] };
    expect(refusal(() => chat(messages(result, assistant)))).toMatchObject({
      code: 'invalid_request',
      param: 'messages.1.role',
      message: expect.stringContaining("'c1'"),
    });
    expect(refusal(() => chat(messages(assistant, { ...result, tool_call_id: 'c2' }))).param).toBe('messages.2.role');
    expect(chatPrompt(messages(assistant, result)).messages).toHaveLength(3);
  });
});

test('a content part that is no text is refused by name, in a result too', () => {
  const image = [{ type: 'image_url', image_url: { url: 'x' } }];
  const call = { role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f' } }] };
  expect(
    refusal(() => chat({ messages: [user('x'), call, { role: 'tool', tool_call_id: 'c', content: image }] })),
  ).toMatchObject({ code: 'not_supported', param: 'messages.2.content.0.type' });
  for (const type of ['input_audio', 'file', 'video_url'])
    expect(refusal(() => chat({ messages: [user([{ type }])] }))).toMatchObject({
      code: 'not_supported',
      message: expect.stringContaining(`'${type}'`),
    });
  expect(refusal(() => chat({ messages: [user('x'), { role: 'assistant', audio: { id: 'a' } }] })).param).toBe(
    'messages.1.audio',
  );
});

test('every format becomes a constraint of the text', () => {
  const constraint = (body: object) => chat(body).constraint;
  const schema = { type: 'object', properties: {} };
  const format = (json_schema: object) => ({ response_format: { type: 'json_schema', json_schema } });
  expect(constraint({})).toBeUndefined();
  expect(constraint({ response_format: { type: 'text' } })).toBeUndefined();
  expect(constraint({ response_format: { type: 'json_object' } })).toEqual({ kind: 'json_object' });
  for (const strict of [true, false, null])
    expect(constraint(format({ name: 'n', schema, strict, description: 'd' }))).toEqual({
      kind: 'json_schema',
      schema,
      param: 'response_format.json_schema.schema',
    });
  expect(constraint(format({ name: 'n' }))).toEqual({ kind: 'json_object' });
  expect(constraint(format({ name: 'n', schema: true }))).toMatchObject({ kind: 'json_schema', schema: true });
  expect(constraint({ grammar: 'root ::= "a"' })).toEqual({
    kind: 'grammar',
    ebnf: 'root ::= "a"',
    param: 'grammar',
  });
  expect(constraint({ regex: '[ab]+', response_format: { type: 'text' } })).toEqual({
    kind: 'regex',
    pattern: '[ab]+',
    param: 'regex',
  });
  const both = chat({ tools: TOOLS, tool_choice: 'required', response_format: { type: 'json_object' }, n: 2 });
  expect(both).toMatchObject({ toolChoice: { mode: 'required' }, constraint: { kind: 'json_object' } });
});

test("bodies in the Responses' shape are understood as chats", () => {
  const schema = { type: 'object' };
  const body = {
    messages: undefined,
    instructions: 'Be brief.',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'Weather?' }] },
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Look.' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
      { type: 'function_call', call_id: 'c1', name: 'a', arguments: '{"x":1}' },
      { type: 'function_call', call_id: 'c2', name: 'b', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'rain' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'noon' }] },
    ],
    tools: [{ type: 'function', name: 'a', parameters: schema }],
    max_output_tokens: 7,
    reasoning: { effort: 'low' },
    text: { format: { type: 'json_schema', name: 'n', schema } },
  };
  const request = chat(body);
  expect(request).toMatchObject({ maxTokens: 7, constraint: { kind: 'json_schema', schema } });
  expect(request.prompt).toMatchObject({ reasoningEffort: 'low', tools: [{ name: 'a' }] });
  expect((request.prompt as ChatPrompt).messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
    {
      role: 'assistant',
      content: [{ type: 'text', text: 'I look.' }],
      reasoning: 'Look.',
      toolCalls: [
        { id: 'c1', name: 'a', arguments: { x: 1 } },
        { id: 'c2', name: 'b', arguments: {} },
      ],
    },
    { role: 'tool', content: 'rain', name: 'a', toolCallId: 'c1' },
    { role: 'tool', content: [{ type: 'text', text: 'noon' }], name: 'b', toolCallId: 'c2' },
  ]);
  expect(chatPrompt({ messages: null, input: 'hi' }).messages).toEqual([{ role: 'user', content: 'hi' }]);
  expect(chatPrompt({ messages: [user('a')], input: 'b' }).messages).toEqual([{ role: 'user', content: 'a' }]);
  expect(refusal(() => chat({ messages: undefined, input: [{ type: 'web_search_call' }] })).code).toBe(
    'invalid_request',
  );
  expect(refusal(() => chat({ messages: undefined })).param).toBe('messages');
});
