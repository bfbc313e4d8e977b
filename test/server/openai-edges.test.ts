/** OpenAI's routes at their edges: schemas that cannot be kept, bodies that call themselves something else, mixed shapes. */
import { describe, expect, test } from 'vitest';
import { post, type Script, serve } from '../support/serve.ts';
import { TRANSPORTS } from '../support/transports.ts';

const SCRIPT: Script = {
  toolFormat: 'hermes',
  replies: [{ tokens: ['1', ', ', '2'] }],
};
const ASK = { model: 'scripted', messages: [{ role: 'user', content: 'Count' }] };
const unkept = { type: 'object', properties: { a: { not: {} } } };
const called = (name: string, parameters: object = {}) => ({ name, strict: true, parameters });
const nested = (name: string, parameters?: object) => ({ type: 'function', function: called(name, parameters) });
const flat = (name: string, parameters?: object) => ({ type: 'function', ...called(name, parameters) });

describe('a schema that cannot be kept is refused with its place and OpenAI’s code', () => {
  test.each([
    ['chat/completions', { tools: [nested('a'), nested('b', unkept)] }, 'tools[1].function.parameters'],
    ['chat/completions', { tools: [flat('b', unkept), flat('b', unkept)] }, 'tools[0].parameters'],
    ['chat/completions', { functions: [called('a'), called('b', unkept)] }, 'functions[1].parameters'],
    ['responses', { input: 'x', tools: [{ type: 'web_search' }, flat('b', unkept)] }, 'tools[1].parameters'],
    [
      'responses',
      { input: 'x', tools: [{ type: 'namespace', name: 'n', tools: [flat('a'), flat('b', unkept)] }] },
      'tools[0].tools[1].parameters',
    ],
  ])('of a function: %s %j', async (path, body, param) => {
    const { url } = await serve(SCRIPT);
    const { status, body: answer } = await post(`${url}/v1/${path}`, { ...ASK, ...body });
    expect([status, answer]).toMatchObject([
      400,
      { error: { type: 'invalid_request_error', code: 'invalid_function_parameters', param } },
    ]);
    expect((answer as { error: { message: string } }).error.message).toMatch(
      /^\S+: invalid schema for function '(n__)?b': .* #\/properties\/a\/not uses not/,
    );
  });

  test('of a format, which has a code in the Responses API alone', async () => {
    const { url } = await serve(SCRIPT);
    const format = { name: 'x', schema: { not: {} } };
    const chat = { response_format: { type: 'json_schema', json_schema: format } };
    expect((await post(`${url}/v1/chat/completions`, { ...ASK, ...chat })).body).toMatchObject({
      error: { code: null, param: 'response_format.json_schema.schema.not' },
    });
    const response = { input: 'x', text: { format: { type: 'json_schema', ...format } } };
    expect((await post(`${url}/v1/responses`, response)).body).toMatchObject({
      error: { code: 'invalid_json_schema', param: 'text.format.schema.not' },
    });
  });
});

describe.each(TRANSPORTS)('over %s', (transport) => {
  test.each([
    ['application/json; charset=utf-8', 200],
    ['application/vnd.api+json', 200],
    ['text/plain;charset=UTF-8', 200],
    ['application/x-www-form-urlencoded', 200],
    ['', 200],
    ['application/xml', 415],
    ['text/html', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/jsonlines', 415],
  ])('a JSON body that calls itself %j is answered %d', async (type, status) => {
    const { url } = await serve(SCRIPT, { transport });
    for (const [path, body] of [
      ['/v1/chat/completions', ASK],
      ['/tokenize', { content: 'a' }],
    ] as const) {
      const answer = await post(`${url}${path}`, body, { 'content-type': type });
      expect(answer.status).toBe(status);
      if (status === 415) expect(answer.body).toMatchObject({ error: { code: 'unsupported_media_type' } });
    }
  });

  test('a form that is one is no JSON, and JSON that is broken is broken JSON', async () => {
    const { url } = await serve(SCRIPT, { transport });
    const send = (body: string, type: string) => post(`${url}/v1/completions`, body, { 'content-type': type });
    expect((await send('model=scripted&prompt=x', 'application/x-www-form-urlencoded')).status).toBe(415);
    for (const type of ['application/json', 'application/x-www-form-urlencoded'])
      expect((await send(' {"model":', type)).body).toMatchObject({ error: { code: 'invalid_json' } });
  });
});

test('seeds of 64 bits are taken, as clients draw them', async () => {
  const { url } = await serve(SCRIPT);
  for (const seed of ['4944116822809979520', '-9223372036854775808']) {
    const body = JSON.stringify({ ...ASK, seed: 0 }).replace('"seed":0', `"seed":${seed}`);
    expect((await post(`${url}/v1/chat/completions`, body)).status).toBe(200);
  }
  expect((await post(`${url}/v1/chat/completions`, { ...ASK, seed: 1.5 })).body).toMatchObject({
    error: { param: 'seed', code: 'invalid_type' },
  });
});

test('custom calls and items of hosted tools in Responses-shaped chats do not end the conversation', async () => {
  const { url } = await serve(SCRIPT);
  const input = [
    { role: 'user', content: 'a' },
    { type: 'web_search_call', id: 'ws_1', status: 'completed' },
    { type: 'custom_tool_call', call_id: 'c', name: 'apply_patch', input: '*** Begin' },
    { type: 'custom_tool_call_output', call_id: 'c', output: 'done' },
  ];
  const answer = await post(`${url}/v1/chat/completions`, { model: 'scripted', input });
  expect([answer.status, answer.body]).toMatchObject([200, { object: 'chat.completion' }]);
});

test('an empty prompt is refused with its field', async () => {
  const { url } = await serve(SCRIPT);
  const { status, body } = await post(`${url}/v1/completions`, { model: 'scripted', prompt: '' });
  expect([status, body]).toMatchObject([400, { error: { param: 'prompt' } }]);
});
