/** Tools, their choice, their calls and results, documents and formats of Anthropic's bodies, before any engine. */
import { describe, expect, test } from 'vitest';
import { message, messagePrompt, refusal, user } from '../support/parse.ts';

const input_schema = { type: 'object', properties: { city: { type: 'string' } } };
const tool = (name: string, more: object = {}) => ({ name, input_schema, ...more });
const assistant = (content: unknown) => ({ role: 'assistant', content });
const use = (id: string, name = 'f', input: unknown = {}) => ({ type: 'tool_use', id, name, input });
const result = (tool_use_id: string, content?: unknown, more: object = {}) => ({
  type: 'tool_result',
  tool_use_id,
  ...(content === undefined ? {} : { content }),
  ...more,
});

describe('tools', () => {
  test('of the client are read; those that run on servers are skipped', () => {
    const tools = [
      tool('weather', { description: 'Tells', strict: true, cache_control: { type: 'ephemeral' } }),
      tool('time', { type: 'custom', eager_input_streaming: true }),
      { type: 'web_search_20250305', name: 'web_search', max_uses: 5 },
      { type: 'bash_20250124', name: 'bash' },
    ];
    expect(messagePrompt({ tools }).tools).toEqual([
      { name: 'weather', description: 'Tells', strict: true, parameters: input_schema },
      { name: 'time', parameters: input_schema },
    ]);
    expect(messagePrompt({ tools: tools.slice(2) }).tools).toBeUndefined();
  });

  test('are chosen in every way that Anthropic has', () => {
    const choice = (tool_choice: unknown) => message({ tools: [tool('a'), tool('b')], tool_choice }).toolChoice;
    const alone = { disable_parallel_tool_use: true };
    expect(choice(undefined)).toBeUndefined();
    expect(choice({ type: 'auto' })).toBeUndefined();
    expect(choice({ type: 'auto', disable_parallel_tool_use: false })).toBeUndefined();
    expect(choice({ type: 'auto', ...alone })).toEqual({ mode: 'auto', parallel: false });
    expect(choice({ type: 'any' })).toEqual({ mode: 'required', parallel: true });
    expect(choice({ type: 'any', ...alone })).toEqual({ mode: 'required', parallel: false });
    expect(choice({ type: 'tool', name: 'b' })).toEqual({ mode: 'required', names: ['b'], parallel: true });
    expect(choice({ type: 'tool', name: 'b', ...alone })).toEqual({ mode: 'required', names: ['b'], parallel: false });
    expect(choice({ type: 'none' })).toEqual({ mode: 'none', parallel: true });
    expect(message({ tool_choice: { type: 'auto' } }).toolChoice).toBeUndefined();
  });
});

describe('earlier calls', () => {
  const history = (...turns: object[]) => messagePrompt({ messages: [user('go'), ...turns] }).messages.slice(1);

  test('keep thoughts, text, ids and input, and their results follow in their order', () => {
    const turns = [
      assistant([
        { type: 'thinking', thinking: 'Look.', signature: 's' },
        { type: 'text', text: 'I look.' },
        use('t1', 'weather', { city: 'Oslo' }),
        use('t2', 'time'),
      ]),
      user([
        result('t2', [
          { type: 'text', text: 'no' },
          { type: 'text', text: 'on' },
        ]),
        result('t1', 'rain'),
        { type: 'text', text: 'And now?' },
      ]),
    ];
    expect(history(...turns)).toEqual([
      {
        role: 'assistant',
        content: 'I look.',
        reasoning: 'Look.',
        toolCalls: [
          { id: 't1', name: 'weather', arguments: { city: 'Oslo' } },
          { id: 't2', name: 'time', arguments: {} },
        ],
      },
      { role: 'tool', content: 'noon', name: 'time', toolCallId: 't2' },
      { role: 'tool', content: 'rain', name: 'weather', toolCallId: 't1' },
      { role: 'user', content: 'And now?' },
    ]);
  });

  test('may be spread over several messages, and results stand right after them', () => {
    const turns = [
      assistant([{ type: 'thinking', thinking: 'a' }]),
      assistant([use('t1')]),
      assistant([use('t2')]),
      user([{ type: 'text', text: 'wait' }, result('t1', 'one')]),
      user([result('t2')]),
      user('go on'),
      { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] },
    ];
    expect(history(...turns)).toEqual([
      {
        role: 'assistant',
        content: '',
        reasoning: 'a',
        toolCalls: [
          { id: 't1', name: 'f', arguments: {} },
          { id: 't2', name: 'f', arguments: {} },
        ],
      },
      { role: 'tool', content: 'one', name: 'f', toolCallId: 't1' },
      { role: 'tool', content: '', name: 'f', toolCallId: 't2' },
      { role: 'user', content: 'wait\n\ngo on' },
      { role: 'system', content: 'Be brief.' },
    ]);
  });

  test('that failed say so to the model', () => {
    const texts = (content: unknown) =>
      history(assistant([use('t')]), user([result('t', content, { is_error: true })]))[1]?.content;
    expect(texts('no such file')).toBe('Error: no such file');
    expect(texts('<error>no such file</error>')).toBe('<error>no such file</error>');
    expect(texts(undefined)).toBe('Error: ');
  });

  test('whose input is no object stay visible', () => {
    expect(history(assistant([use('t', 'f', '{"a')]), user([result('t')]))[0]?.toolCalls?.[0]?.arguments).toEqual({
      malformed_arguments: '{"a',
    });
  });

  test('of servers are passed over', () => {
    const turns = [
      assistant([
        { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
        { type: 'web_search_tool_result', tool_use_id: 's', content: [null, 'x', { cache_control: true }] },
        { type: 'redacted_thinking', data: 'x' },
        { type: 'text', text: 'Found.' },
      ]),
      user('thanks'),
    ];
    expect(history(...turns)[0]).toEqual({ role: 'assistant', content: 'Found.' });
  });
});

test('a conversation of very many messages, calls and results is read in time that grows with its length alone', () => {
  const many = 200_000;
  const { messages } = messagePrompt({ messages: Array.from({ length: many }, () => user('hi')) });
  expect(messages.map(({ content }) => content.length)).toEqual([many * 4 - 2]);
  const ids = Array.from({ length: many }, (_, index) => `t${index}`);
  const turns = [user('go'), assistant(ids.map((id) => use(id))), user(ids.map((id) => result(id)))];
  expect(messagePrompt({ messages: turns }).messages.length).toBe(2 + many);
});

test('text documents, search results and tool references are shown as text; media are refused by name', () => {
  const content = (...blocks: object[]) => messagePrompt({ messages: [user(blocks)] }).messages[0]?.content;
  const document = (source: object, more: object = {}) => ({ type: 'document', source, ...more });
  const question = { type: 'text', text: 'What is it?' };
  expect(
    content(document({ type: 'text', media_type: 'text/plain', data: 'Cats.' }, { title: 'On cats' }), question),
  ).toBe('On cats\n\nCats.\n\nWhat is it?');
  const blocks = [
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
  ];
  expect(content(document({ type: 'content', content: blocks }), question)).toBe('a\n\nb\n\nWhat is it?');
  expect(content({ type: 'search_result', title: 'T', source: 'https://x', content: blocks }, question)).toBe(
    'T\n\nhttps://x\n\na\n\nb\n\nWhat is it?',
  );
  const found = ['weather', 'time'].map((tool_name) => ({ type: 'tool_reference', tool_name }));
  const turns = [user('x'), assistant([use('t')]), user([result('t', found)])];
  expect(messagePrompt({ messages: turns }).messages[2]?.content).toBe('weather\ntime\n');
  const image = { type: 'image', source: { type: 'url', url: 'x' } };
  for (const [blocks, param, what] of [
    [[image], 'messages.0.content.0.type', "'image'"],
    [[document({ type: 'url', url: 'x' })], 'messages.0.content.0.source.type', "'url'"],
    [[document({ type: 'content', content: [image] })], 'messages.0.content.0.source.content.0.type', "'image'"],
  ] as const)
    expect(refusal(() => message({ messages: [user(blocks)] }))).toMatchObject({
      code: 'not_supported',
      param,
      message: expect.stringContaining(what),
    });
  for (const [source, param] of [
    [{ type: 'text', media_type: 'text/plain' }, 'messages.0.content.0.source.data'],
    [{ type: 'content' }, 'messages.0.content.0.source.content'],
  ] as const)
    expect(refusal(() => message({ messages: [user([document(source)])] }))).toMatchObject({
      code: 'invalid_request',
      param,
    });
  expect(
    refusal(() => message({ messages: [user('x'), assistant([use('t')]), user([result('t', [image])])] })).param,
  ).toBe('messages.2.content.0.content.0.type');
});

test('a format becomes a constraint of the text, under its new and its old name', () => {
  const schema = { type: 'object' };
  const format = { type: 'json_schema', schema };
  const constraint = (body: object) => message(body).constraint;
  expect(constraint({})).toBeUndefined();
  expect(constraint({ output_config: { effort: 'low' } })).toBeUndefined();
  expect(constraint({ output_config: { format } })).toMatchObject({ kind: 'json_schema', schema });
  expect(constraint({ output_format: format })).toMatchObject({ kind: 'json_schema', schema });
  expect(constraint({ output_format: null, output_config: { format: null } })).toBeUndefined();
  expect(constraint({ regex: 'a+' })).toMatchObject({ kind: 'regex', pattern: 'a+' });
});

test('a thinking budget is a limit; without one there is none', () => {
  const budget = (thinking: object) => message({ thinking }).reasoningBudgetTokens;
  expect(budget({ type: 'enabled', budget_tokens: 1500 })).toBe(1500);
  for (const type of ['disabled', 'adaptive', 'between_tools']) expect(budget({ type })).toBeUndefined();
});
