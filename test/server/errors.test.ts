/** Refusals: status, type, code and the name of the field, in both dialects. */
import { expect, test } from 'vitest';
import { EngineError, ERROR_CODES } from '../../src/runtime/errors.ts';
import { DIALECTS } from '../../src/server/dialects/index.ts';
import { post, type Script, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { until } from '../support/until.ts';
import { expectSchema } from '../support/vendor-schemas.ts';

const SCRIPT: Script = { contextLength: 100, replies: [{ tokens: ['ok'] }] };
const hi = [{ role: 'user', content: 'hi' }];

const OPENAI_CASES: readonly (readonly [body: object, param: string, code: string])[] = [
  [{ messages: undefined }, 'messages', 'missing_required_parameter'],
  [{ model: undefined }, 'model', 'missing_required_parameter'],
  [{ model: 7 }, 'model', 'invalid_type'],
  [{ messages: 'hi' }, 'messages', 'invalid_type'],
  [{ messages: [] }, 'messages', 'array_below_min_length'],
  [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'missing_required_parameter'],
  [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content', 'invalid_type'],
  [
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    'messages[0].content[0].text',
    'missing_required_parameter',
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
    'messages[0].content[0].type',
    'unsupported_parameter',
  ],
  [{ messages: [{ role: 'tool', content: 'x', tool_call_id: 'y' }] }, 'messages[0].role', 'invalid_value'],
  [{ messages: [{ role: 'function', content: 'x', name: 'y' }] }, 'messages[0].role', 'invalid_value'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id', 'missing_required_parameter'],
  [{ temperature: 2.5 }, 'temperature', 'decimal_above_max_value'],
  [{ temperature: '1' }, 'temperature', 'invalid_type'],
  [{ top_p: -0.1 }, 'top_p', 'decimal_below_min_value'],
  [{ n: 0 }, 'n', 'integer_below_min_value'],
  [{ n: 129 }, 'n', 'integer_above_max_value'],
  [{ n: 1.5 }, 'n', 'invalid_type'],
  [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'array_above_max_length'],
  [{ stop: 5 }, 'stop', 'invalid_type'],
  [{ stream: 'yes' }, 'stream', 'invalid_type'],
  [{ seed: 1.5 }, 'seed', 'invalid_type'],
  [{ presence_penalty: 3 }, 'presence_penalty', 'decimal_above_max_value'],
  [{ logit_bias: { 1: 101 } }, 'logit_bias.1', 'decimal_above_max_value'],
  [{ logit_bias: { cat: 1 } }, 'logit_bias.cat', 'invalid_value'],
  [{ logit_bias: { 99999: 1 } }, 'logit_bias.99999', 'invalid_value'],
  [{ logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) }, 'logit_bias', 'invalid_value'],
  [{ repetition_penalty: 1e-300 }, 'repetition_penalty', 'decimal_below_min_value'],
  [{ top_logprobs: 2 }, 'top_logprobs', 'invalid_value'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'integer_above_max_value'],
  [{ max_tokens: 0 }, 'max_tokens', 'integer_below_min_value'],
  [{ max_completion_tokens: 'many' }, 'max_completion_tokens', 'invalid_type'],
  [{ reasoning_effort: 'huge' }, 'reasoning_effort', 'invalid_value'],
  [{ chat_template_kwargs: { enable_thinking: 'yes' } }, 'chat_template_kwargs.enable_thinking', 'invalid_type'],
  [{ tools: {} }, 'tools', 'invalid_type'],
  [{ tools: [{ type: 'function' }] }, 'tools[0].function', 'missing_required_parameter'],
  [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name', 'missing_required_parameter'],
  [{ tools: [{ type: 'function', name: 'a b' }] }, 'tools[0].name', 'invalid_value'],
  [
    { tools: [{ type: 'function', function: { name: 'f', parameters: 'x' } }] },
    'tools[0].function.parameters',
    'invalid_type',
  ],
  [
    {
      tools: [
        { type: 'function', name: 'f', description: '1' },
        { type: 'function', name: 'f', description: '2' },
      ],
    },
    'tools',
    'invalid_value',
  ],
  [{ functions: [{}] }, 'functions[0].name', 'missing_required_parameter'],
  [{ functions: [{ name: 'f' }], function_call: { name: 'g' } }, 'function_call', 'invalid_value'],
  [{ tool_choice: 'required' }, 'tool_choice', 'invalid_value'],
  [{ tool_choice: 'sometimes' }, 'tool_choice', 'invalid_value'],
  [{ tool_choice: { type: 'function', function: { name: 'f' } } }, 'tool_choice', 'invalid_value'],
  [{ tool_choice: { type: 'function', function: {} } }, 'tool_choice.function.name', 'missing_required_parameter'],
  [{ tool_choice: { type: 'web_search' } }, 'tool_choice.type', 'invalid_value'],
  [{ tool_choice: {} }, 'tool_choice.type', 'missing_required_parameter'],
  [{ tool_choice: { type: 'allowed_tools', mode: 'auto' } }, 'tool_choice.tools', 'missing_required_parameter'],
  [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls', 'invalid_type'],
  [{ response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
  [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema', 'missing_required_parameter'],
  [
    { response_format: { type: 'json_schema', json_schema: { schema: {} } } },
    'response_format.json_schema.name',
    'missing_required_parameter',
  ],
  [
    { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: 'x' } } },
    'response_format.json_schema.schema',
    'invalid_type',
  ],
  [{ response_format: { type: 'json_object' }, regex: 'a+' }, 'regex', 'invalid_value'],
  [{ grammar: 'root ::= "a"', regex: 'a+' }, 'regex', 'invalid_value'],
  [{ grammar: 5 }, 'grammar', 'invalid_type'],
  [{ modalities: ['text', 'audio'] }, 'modalities', 'unsupported_parameter'],
  [{ audio: { voice: 'x' } }, 'audio', 'unsupported_parameter'],
];

test('a chat body with a fault is refused with the name of the field', async () => {
  const { url } = await serve(SCRIPT);
  for (const [extra, param, code] of OPENAI_CASES) {
    const { status, body } = await post(`${url}/v1/chat/completions`, {
      model: 'scripted',
      messages: hi,
      stream: true,
      ...extra,
    });
    expect({ extra, status, body }).toEqual({
      extra,
      status: 400,
      body: { error: { type: 'invalid_request_error', param, code, message: expect.stringContaining(param) } },
    });
    expectSchema('openai', 'ErrorResponse', body);
  }
});

test('a completion body with a fault, or with a wish for later, is refused with the name of the field', async () => {
  const { url } = await serve(SCRIPT);
  const cases = [
    [{ prompt: undefined }, 'prompt'],
    [{ prompt: [] }, 'prompt'],
    [{ prompt: ['a', 5] }, 'prompt[1]'],
    [{ prompt: ['a', [5]] }, 'prompt[1]'],
    [{ prompt: [1, 'a'] }, 'prompt[1]'],
    [{ prompt: [1, -2] }, 'prompt[1]'],
    [{ prompt: [[1], []] }, 'prompt[1]'],
    [{ prompt: [[1], [1.5]] }, 'prompt[1][0]'],
    [{ prompt: [{}] }, 'prompt[0]'],
    [{ prompt: [100_000] }, 'prompt[0]'],
    [{ prompt: Array.from({ length: 65 }, () => 'a'), n: 2 }, 'prompt'],
    [{ echo: true, logprobs: 1, suffix: 'z' }, 'logprobs'],
    [{ echo: true, prompt: [[1], [100_000]] }, 'prompt[1][0]'],
    [{ n: 3, best_of: 2 }, 'best_of'],
    [{ best_of: 2, stream: true }, 'best_of'],
    [{ best_of: 21 }, 'best_of'],
    [{ suffix: 'x' }, 'suffix'],
    [{ suffix: 'x', prompt: [1, 2] }, 'suffix'],
    [{ logprobs: 6 }, 'logprobs'],
    [{ max_tokens: -1 }, 'max_tokens'],
  ] as const;
  for (const [extra, param] of cases) {
    const { status, body } = await post(`${url}/v1/completions`, { model: 'scripted', prompt: 'x', ...extra });
    expect([extra, status, body]).toMatchObject([extra, 400, { error: { param } }]);
  }
});

const ANTHROPIC_CASES: readonly (readonly [body: object, message: RegExp])[] = [
  [{ max_tokens: undefined }, /^max_tokens: Field required$/],
  [{ max_tokens: -1 }, /^max_tokens: must be at least 0, got -1$/],
  [{ model: undefined }, /^model: Field required$/],
  [{ messages: [] }, /^messages: must have at least 1 items$/],
  [
    { messages: [{ role: 'tool', content: 'x' }] },
    /^messages\.0\.role: must be one of user, assistant, system; got "tool"$/,
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'image', source: {} }] }] },
    /^messages\.0\.content\.0\.type: .*'image'/,
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x' }] }] },
    /^messages\.0\.content\.0: unexpected `tool_use_id` found in `tool_result` blocks: x\. /,
  ],
  [
    { messages: [...hi, { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'f', input: {} }] }] },
    /^messages\.1: `tool_use` ids were found without `tool_result` blocks immediately after: x\. /,
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'base64', data: '' } }] }] },
    /^messages\.0\.content\.0\.source\.type: documents of type 'base64' are not supported/,
  ],
  [{ system: [{ type: 'image' }] }, /^system\.0\.type: .*'image'/],
  [{ system: 5 }, /^system: must be a string or an array, got 5$/],
  [{ temperature: 1.5 }, /^temperature: must be at most 1, got 1\.5$/],
  [{ top_k: -1 }, /^top_k: must be at least 0, got -1$/],
  [{ stop_sequences: 'x' }, /^stop_sequences: must be an array, got "x"$/],
  [{ stop_sequences: Array.from({ length: 257 }, String) }, /^stop_sequences: must have at most 256 items$/],
  [
    { thinking: { type: 'enabled', budget_tokens: 1000 } },
    /^thinking\.budget_tokens: must be at least 1024, got 1000$/,
  ],
  [{ thinking: { type: 'enabled' } }, /^thinking\.budget_tokens: Field required$/],
  [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, /^max_tokens: must be greater than thinking\.budget_tokens/],
  [
    { thinking: { type: 'sometimes' } },
    /^thinking\.type: must be one of enabled, disabled, adaptive, between_tools; got "sometimes"$/,
  ],
  [{ output_config: { effort: 'tiny' } }, /^output_config\.effort: must be one of low, medium, high, xhigh, max/],
  [{ output_config: { format: { type: 'xml' } } }, /^output_config\.format\.type: must be one of text, json_schema/],
  [{ output_config: { format: { type: 'json_schema' } } }, /^output_config\.format\.schema: Field required$/],
  [
    { output_format: { type: 'json_schema', schema: 5 } },
    /^output_format\.schema: must be an object or a boolean, got 5$/,
  ],
  [{ output_format: { type: 'json_schema', schema: {} }, regex: 'a' }, /^regex: cannot be combined with output_format/],
  [{ tools: [{ name: 'f' }] }, /^tools\.0\.input_schema: Field required$/],
  [{ tools: [{ name: '', input_schema: {} }] }, /^tools\.0\.name: must be 1 to 256 letters/],
  [{ tool_choice: { type: 'any' } }, /^tool_choice: requires a call of a tool, and none is given$/],
  [{ tool_choice: { type: 'tool' } }, /^tool_choice\.name: Field required$/],
  [{ tool_choice: { type: 'tool', name: 'f' } }, /^tool_choice: names the tool 'f', which is not in tools$/],
  [{ tool_choice: { type: 'some' } }, /^tool_choice\.type: must be one of auto, any, tool, none; got "some"$/],
];

test('a message body with a fault is refused with the name of the field', async () => {
  const { url } = await serve(SCRIPT);
  for (const [extra, message] of ANTHROPIC_CASES) {
    const { status, headers, body } = await post(`${url}/v1/messages`, {
      model: 'scripted',
      max_tokens: 50,
      messages: hi,
      stream: true,
      ...extra,
    });
    expect({ extra, status, body }).toEqual({
      extra,
      status: 400,
      body: {
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringMatching(message) },
        request_id: headers.get('request-id'),
      },
    });
    expectSchema('anthropic', 'ErrorResponse', body);
  }
});

test('an overlong prompt is refused in the words that clients look for, before a stream begins', async () => {
  const { url } = await serve(SCRIPT);
  const long = [{ role: 'user', content: 'x'.repeat(200) }];
  const anthropic = async (body: object) =>
    (await post(`${url}/v1/messages`, { model: 'scripted', max_tokens: 5, stream: true, ...body })).body;
  expect(await anthropic({ messages: long })).toMatchObject({
    error: {
      type: 'invalid_request_error',
      message: expect.stringMatching(/^prompt is too long: 2\d\d tokens > 100 maximum$/),
    },
  });
  expect(await anthropic({ messages: hi, max_tokens: 99 })).toMatchObject({
    error: {
      message: expect.stringMatching(
        /^input length and `max_tokens` exceed context limit: \d+ \+ 99 > 100, decrease input length or `max_tokens` and try again$/,
      ),
    },
  });
  const openai = await post(`${url}/v1/chat/completions`, { model: 'scripted', messages: long, stream: true });
  expect([openai.status, openai.body]).toMatchObject([
    400,
    {
      error: {
        code: 'context_length_exceeded',
        param: 'messages',
        message: expect.stringContaining("This model's maximum context length is 100 tokens"),
      },
    },
  ]);
  const completion = await post(`${url}/v1/completions`, { model: 'scripted', prompt: 'x'.repeat(200) });
  expect(completion.body).toMatchObject({ error: { code: 'context_length_exceeded', param: 'prompt' } });
});

test('a body that is no JSON, or no object, is refused without being quoted', async () => {
  const { url } = await serve(SCRIPT);
  for (const text of [
    '{"secret": ',
    'secret',
    '',
    '[]',
    '"secret"',
    Buffer.from([0x22, 0xff, 0x22]).toString('latin1'),
  ]) {
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      const { status, body } = await post(url + path, text);
      expect([text, status]).toEqual([text, 400]);
      if (text !== '"secret"') expect(JSON.stringify(body)).not.toContain('secret');
    }
  }
});

test('a body nested beyond all reason is refused, one with brackets in its text is not', async () => {
  const { url } = await serve(SCRIPT);
  const chat = (kwargs: string) =>
    post(
      `${url}/v1/chat/completions`,
      `{"model":"scripted","messages":${JSON.stringify(hi)},"chat_template_kwargs":${kwargs}}`,
    );
  for (const depth of [129, 100_000]) {
    const { status, body } = await chat(`{"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`);
    expect([status, body]).toMatchObject([400, { error: { message: expect.stringContaining('128 deep') } }]);
  }
  expect((await chat(`{"deep":${'['.repeat(100)}${']'.repeat(100)}}`)).status).toBe(200);
  expect((await chat(`{"text":${JSON.stringify('["\\{'.repeat(200))}}`)).status).toBe(200);
});

test('a full queue answers 429 to OpenAI clients and 529 to Anthropic clients, with Retry-After', async () => {
  const gate = new TokenGate();
  const { beforeToken } = gate;
  const { url, engine } = await serve(SCRIPT, { beforeToken, engine: { maxRunning: 1, maxQueue: 1 } });
  const chat = { model: 'scripted', messages: hi };
  const running = post(`${url}/v1/chat/completions`, chat);
  await until(() => engine.stats().running === 1);
  const waiting = post(`${url}/v1/chat/completions`, chat);
  await until(() => engine.stats().waiting === 1);
  const openai = await post(`${url}/v1/chat/completions`, { ...chat, stream: true });
  expect([openai.status, openai.body]).toMatchObject([429, { error: { code: 'rate_limit_exceeded' } }]);
  const anthropic = await post(`${url}/v1/messages`, { ...chat, max_tokens: 5, stream: true });
  expect([anthropic.status, anthropic.body]).toMatchObject([529, { error: { type: 'overloaded_error' } }]);
  for (const { headers } of [openai, anthropic]) expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  gate.open();
  expect([(await running).status, (await waiting).status]).toEqual([200, 200]);
});

test('every error code has a status and a body in every dialect', () => {
  for (const dialect of DIALECTS) {
    for (const code of ERROR_CODES) {
      const { status, body } = dialect.error(new EngineError(code, 'what happened'), 'req_1');
      expect(status).toBeGreaterThanOrEqual(400);
      expect(JSON.stringify(body)).toContain('what happened');
    }
  }
});

test('Anthropic has a type of its own for a conflict', () => {
  const anthropic = DIALECTS.find(({ name }) => name === 'anthropic-messages');
  expect(anthropic?.error(new EngineError('conflict', 'both at once'), 'req_1')).toMatchObject({
    status: 409,
    body: { type: 'error', error: { type: 'conflict_error', message: 'both at once' }, request_id: 'req_1' },
  });
});
