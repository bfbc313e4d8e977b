/** What the Responses dialect makes of a request before any engine sees it. */
import { describe, expect, test } from 'vitest';
import type { ChatPrompt, GenerationRequest, ModelDescription } from '../../src/runtime/api.ts';
import type { GenerateExchange } from '../../src/server/dialects/dialect.ts';
import { openaiResponses } from '../../src/server/dialects/openai-responses.ts';
import { sealReasoning } from '../../src/server/dialects/sealed-reasoning.ts';

const MODEL: ModelDescription = {
  id: 'm',
  architecture: 'llama',
  contextLength: 4096,
  vocabularySize: 1000,
  hasChatTemplate: true,
  generates: true,
  fingerprint: 'f'.repeat(64),
  createdAt: 1_700_000_000,
};

const exchangeOf = async (body: object, model = MODEL): Promise<GenerateExchange> =>
  (await openaiResponses.routes[0]?.parse({ input: 'x', ...body }, {
    model,
    requestId: 'req_1',
    createdAt: 1,
  } as never)) as GenerateExchange;
const requestOf = async (body: object): Promise<GenerationRequest> =>
  (await exchangeOf(body)).requests[0] as GenerationRequest;
const promptOf = async (body: object): Promise<ChatPrompt> => (await requestOf(body)).prompt as ChatPrompt;
const messagesOf = async (...input: object[]) => (await promptOf({ input })).messages;
const call = (callId: string, name = 'add', args = '{"a":1}') => ({
  type: 'function_call',
  call_id: callId,
  name,
  arguments: args,
});
const result = (callId: string, output: unknown = 'done') => ({
  type: 'function_call_output',
  call_id: callId,
  output,
});

describe('items become messages', () => {
  test('a text is a user message, after the instructions', async () => {
    expect(await promptOf({ input: 'Hi', instructions: 'Be kind.' })).toEqual({
      kind: 'chat',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ],
      continueFinalMessage: false,
    });
  });

  test('roles and parts are kept', async () => {
    expect(
      await messagesOf(
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'a' }] },
        { role: 'user', content: 'b' },
        { role: 'assistant', content: [{ type: 'output_text', text: 'c', annotations: [] }], status: 'completed' },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'd' }], phase: 'final_answer' },
        { role: 'system', content: 'e' },
      ),
    ).toEqual([
      { role: 'developer', content: [{ type: 'text', text: 'a' }] },
      { role: 'user', content: 'b' },
      { role: 'assistant', content: [{ type: 'text', text: 'c' }] },
      { role: 'assistant', content: [{ type: 'text', text: 'd' }] },
      { role: 'system', content: 'e' },
    ]);
  });

  test('reasoning, text and calls of one turn are one message, and results name their tool', async () => {
    expect(
      await messagesOf(
        { role: 'user', content: 'q' },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
        { role: 'assistant', content: 'Let me.' },
        call('c1'),
        call('c2', 'look', ''),
        result('c1'),
        result('c2', [
          { type: 'input_text', text: 'a' },
          { type: 'output_text', text: 'b' },
        ]),
        { type: 'reasoning', summary: [] },
        { role: 'assistant', content: 'It is so.' },
      ),
    ).toEqual([
      { role: 'user', content: 'q' },
      {
        role: 'assistant',
        content: 'Let me.',
        reasoning: 'hm',
        toolCalls: [
          { id: 'c1', name: 'add', arguments: { a: 1 } },
          { id: 'c2', name: 'look', arguments: {} },
        ],
      },
      { role: 'tool', content: 'done', name: 'add', toolCallId: 'c1' },
      {
        role: 'tool',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        name: 'look',
        toolCallId: 'c2',
      },
      { role: 'assistant', content: 'It is so.' },
    ]);
  });

  test('calls in turn stay apart', async () => {
    expect((await messagesOf(call('c1'), result('c1'), call('c2'), result('c2'))).map(({ role }) => role)).toEqual([
      'assistant',
      'tool',
      'assistant',
      'tool',
    ]);
    const thoughtTwice = await messagesOf(
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'one' }] },
      call('c1'),
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'two' }] },
      call('c2'),
    );
    expect(thoughtTwice.map(({ reasoning }) => reasoning)).toEqual(['one', 'two']);
  });

  test('reasoning comes from our sealed form, else from its text, else from its summary', async () => {
    const summary = [{ type: 'summary_text', text: 'short' }];
    const content = [{ type: 'reasoning_text', text: 'long' }];
    for (const [item, reasoning] of [
      [{ encrypted_content: sealReasoning('sealed 😀'), content, summary }, 'sealed 😀'],
      [{ encrypted_content: 'gAAAAABforeign', content, summary }, 'long'],
      [{ encrypted_content: 'gAAAAABforeign', content: null, summary }, 'short'],
      [{ encrypted_content: null, summary: [] }, undefined],
      [{ encrypted_content: 'gAAAAABforeign' }, undefined],
    ] as const) {
      const [message] = await messagesOf({ type: 'reasoning', ...item }, { role: 'assistant', content: 'a' });
      expect(message?.reasoning).toBe(reasoning);
    }
  });

  test('what came out can go in again', async () => {
    const exchange = await exchangeOf({
      include: ['reasoning.encrypted_content'],
      tools: [{ type: 'custom', name: 'p' }],
    });
    const usage = { promptTokens: 1, cachedTokens: 0, completionTokens: 1, reasoningTokens: 0 };
    const response = (await exchange.response([
      {
        parts: [
          { type: 'reasoning', text: 'hm' },
          { type: 'text', text: 'Let me.' },
          { type: 'tool_call', id: 'c1', name: 'p', arguments: '{"input":"x"}' },
        ],
        warnings: [],
        logprobs: [],
        finish: { type: 'finish', reason: 'tool_calls', usage },
      },
    ])) as { output: object[] };
    const again = response.output.map(({ content: _content, ...item }: { content?: unknown; type?: string }) =>
      item.type === 'reasoning' ? item : { ...item, ...(_content === undefined ? {} : { content: _content }) },
    );
    const done = { type: 'custom_tool_call_output', call_id: 'c1', output: 'ok' };
    expect(await messagesOf(...again, done)).toEqual([
      {
        role: 'assistant',
        content: [{ type: 'text', text: 'Let me.' }],
        reasoning: 'hm',
        toolCalls: [{ id: 'c1', name: 'p', arguments: { input: 'x' } }],
      },
      { role: 'tool', content: 'ok', name: 'p', toolCallId: 'c1' },
    ]);
  });

  test('a call that was cut off is left out, unless somebody answered it', async () => {
    const cut = { ...call('c1', 'add', '{"a'), status: 'incomplete' };
    expect(await messagesOf({ role: 'user', content: 'q' }, cut, { role: 'assistant', content: 'Sorry.' })).toEqual([
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'Sorry.' },
    ]);
    expect(await messagesOf(cut, result('c1'))).toMatchObject([
      { role: 'assistant', toolCalls: [{ id: 'c1', name: 'add', arguments: { malformed_arguments: '{"a' } }] },
      { role: 'tool', toolCallId: 'c1' },
    ]);
  });

  test('items of tools that ran elsewhere are left out', async () => {
    const search = { type: 'web_search_call', id: 'ws_1', status: 'completed', action: {} };
    expect(await messagesOf({ role: 'user', content: 'q' }, search)).toEqual([{ role: 'user', content: 'q' }]);
  });

  test('a model without a chat template is no place for it', async () => {
    await expect(exchangeOf({}, { ...MODEL, hasChatTemplate: false })).rejects.toMatchObject({ code: 'not_supported' });
  });
});

describe('tools', () => {
  const TOOLS = [
    { type: 'function', name: 'add', description: 'Adds.', parameters: { type: 'object' }, strict: true },
    { type: 'function', name: 'bare', description: null, parameters: null, strict: null },
    { type: 'custom', name: 'patch', description: 'Patches.' },
    { type: 'custom', name: 'sql', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } },
    {
      type: 'namespace',
      name: 'mcp',
      description: 'Far tools',
      tools: [
        { type: 'function', name: 'look', parameters: { type: 'object' } },
        { type: 'custom', name: 'note' },
        { type: 'teleport', name: 'z' },
      ],
    },
    { type: 'namespace', name: 'files__', description: '', tools: [{ type: 'function', name: 'read' }] },
    { type: 'web_search' },
    { type: 'image_generation' },
    { type: 'local_shell' },
    { type: 'something_new', name: 'add' },
  ];
  const CUSTOM = {
    type: 'object',
    properties: { input: { type: 'string' } },
    required: ['input'],
    additionalProperties: false,
  };

  test('functions and custom tools are shown, namespaces flattened, all others skipped', async () => {
    expect((await promptOf({ tools: TOOLS })).tools).toEqual([
      { name: 'add', description: 'Adds.', parameters: { type: 'object' }, strict: true },
      { name: 'bare' },
      { name: 'patch', description: 'Patches.', parameters: CUSTOM },
      {
        name: 'sql',
        description: 'The input must follow this lark grammar:\nstart: "x"',
        parameters: CUSTOM,
      },
      { name: 'mcp__look', parameters: { type: 'object' } },
      { name: 'mcp__note', parameters: CUSTOM },
      { name: 'files__read' },
    ]);
    const [message] = await messagesOf({ ...call('c', 'look'), namespace: 'mcp' });
    expect(message?.toolCalls?.[0]?.name).toBe('mcp__look');
    expect((await requestOf({ tools: [{ type: 'web_search' }], tool_choice: 'auto' })).prompt).not.toHaveProperty(
      'tools',
    );
  });

  test('two tools that differ under one name are refused', async () => {
    for (const tools of [
      [TOOLS[0], { type: 'custom', name: 'add' }],
      [{ type: 'function', name: 'mcp__look', description: 'other' }, TOOLS[4]],
    ]) {
      await expect(exchangeOf({ tools })).rejects.toMatchObject({
        code: 'invalid_request',
        details: { param: 'tools' },
      });
    }
  });

  test('the choice among them is passed on', async () => {
    const chosen = async (body: object) => (await requestOf({ tools: TOOLS, ...body })).toolChoice;
    expect(await chosen({})).toBeUndefined();
    expect(await chosen({ tool_choice: 'auto' })).toBeUndefined();
    expect(await chosen({ parallel_tool_calls: false })).toEqual({ mode: 'auto', parallel: false });
    expect(await chosen({ tool_choice: 'none' })).toEqual({ mode: 'none', parallel: true });
    expect(await chosen({ tool_choice: 'required' })).toEqual({ mode: 'required', parallel: true });
    for (const [choice, name] of [
      [{ type: 'function', name: 'add' }, 'add'],
      [{ type: 'custom', name: 'patch' }, 'patch'],
      [{ type: 'function', name: 'mcp__look' }, 'mcp__look'],
      [{ type: 'function', name: 'look' }, 'mcp__look'],
      [{ type: 'function', name: 'look', namespace: 'mcp' }, 'mcp__look'],
    ] as const) {
      expect(await chosen({ tool_choice: choice })).toEqual({ mode: 'required', names: [name], parallel: false });
    }
    const allowed = { type: 'allowed_tools', tools: [{ type: 'function', name: 'add' }, { type: 'web_search' }] };
    expect(await chosen({ tool_choice: { ...allowed, mode: 'required' } })).toEqual({
      mode: 'required',
      names: ['add'],
      parallel: true,
    });
    expect(await chosen({ tool_choice: { ...allowed, mode: 'auto' } })).toEqual({
      mode: 'auto',
      names: ['add'],
      parallel: true,
    });
    const none = { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'web_search' }] };
    expect(await chosen({ tool_choice: none })).toEqual({ mode: 'none', parallel: true });
    for (const choice of [{ type: 'function', name: 'nobody' }, { type: 'function' }, { type: 'web_search' }]) {
      await expect(exchangeOf({ tools: TOOLS, tool_choice: choice })).rejects.toMatchObject({
        code: 'invalid_request',
      });
    }
  });
});

describe('the rest', () => {
  test('sampling, limits and formats reach the engine', async () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } } };
    const request = await requestOf({
      temperature: 0.5,
      top_p: 0.9,
      top_logprobs: 3,
      max_output_tokens: 7,
      presence_penalty: 1,
      text: { format: { type: 'json_schema', name: 's', schema } },
      reasoning: { effort: 'xhigh' },
      prompt_cache_key: 'k',
    });
    expect(request).toMatchObject({
      id: 'req_1',
      maxTokens: 7,
      stop: [],
      sampling: { temperature: 0.5, topP: 0.9, topLogprobs: 3, presencePenalty: 1 },
      constraint: { kind: 'json_schema', schema, param: 'text.format.schema' },
      prompt: { enableThinking: true, reasoningEffort: 'high' },
    });
    expect((await exchangeOf({ prompt_cache_key: 'k' })).hints).toMatchObject({ sessions: { prompt_cache_key: 'k' } });
    expect(await requestOf({})).not.toHaveProperty('maxTokens');
    expect((await requestOf({})).sampling).not.toHaveProperty('topLogprobs');
    expect((await requestOf({ generate: false })).maxTokens).toBe(0);
    expect((await requestOf({ text: { format: { type: 'json_object' } } })).constraint).toEqual({
      kind: 'json_object',
    });
    expect(await requestOf({ text: { format: { type: 'text' } } })).not.toHaveProperty('constraint');
    expect((await promptOf({ reasoning: { effort: 'none' } })).enableThinking).toBe(false);
    expect(await requestOf({ include: ['message.output_text.logprobs'] })).toMatchObject({
      sampling: { topLogprobs: 0 },
    });
  });

  test('null means absent, and what is unknown is ignored', async () => {
    const keys = [
      'instructions',
      'previous_response_id',
      'store',
      'stream',
      'stream_options',
      'tools',
      'tool_choice',
      'parallel_tool_calls',
      'max_output_tokens',
      'max_tool_calls',
      'reasoning',
      'text',
      'include',
      'temperature',
      'top_p',
      'top_logprobs',
      'truncation',
      'metadata',
      'service_tier',
      'prompt_cache_key',
      'safety_identifier',
      'user',
      'background',
      'prompt',
      'conversation',
      'model',
      'generate',
      'prompt_cache_retention',
    ];
    const nulls = Object.fromEntries(keys.map((key) => [key, null]));
    const plain = await requestOf({});
    expect(await requestOf(nulls)).toEqual(plain);
    expect(await requestOf({ client_metadata: { a: 1 }, moderation: {}, context_management: [] })).toEqual(plain);
  });
});
