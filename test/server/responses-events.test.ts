/** The events of a response, of every kind that a model can make, as both SDKs assemble them. */
import { ResponseStream } from 'openai/lib/responses/ResponseStream';
import { ResponseStream as ResponseStream7 } from 'openai-7/lib/responses/ResponseStream';
import { describe, expect, test } from 'vitest';
import type { GenerationEvent, ModelDescription } from '../../src/runtime/api.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { AnswerCollector } from '../../src/server/dialects/answer.ts';
import type { EventPayload, Frame, GenerateExchange } from '../../src/server/dialects/dialect.ts';
import { openaiResponses } from '../../src/server/dialects/openai-responses.ts';
import { expectResponse, expectResponseEvent, expectSchema } from '../support/vendor-schemas.ts';

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
const USAGE = { promptTokens: 10, cachedTokens: 4, completionTokens: 7, reasoningTokens: 2 };
const START: GenerationEvent = { type: 'start', promptTokens: 10, cachedTokens: 4 };
const finish = (reason: 'stop' | 'tool_calls' | 'length'): GenerationEvent => ({
  type: 'finish',
  reason,
  usage: USAGE,
});
const call = (index: number, name: string, ...pieces: string[]): GenerationEvent[] => [
  { type: 'tool_call_start', index, id: `call_${index}`, name },
  ...pieces.map((text): GenerationEvent => ({ type: 'tool_call_arguments', index, text })),
];
const ended = (index: number): GenerationEvent => ({ type: 'tool_call_end', index });
const text = (said: string): GenerationEvent => ({ type: 'text', text: said });
const thought = (said: string): GenerationEvent => ({ type: 'reasoning', text: said });

const TOOLS = [
  { type: 'function', name: 'add', parameters: { type: 'object' }, strict: true },
  { type: 'custom', name: 'patch' },
  { type: 'namespace', name: 'mcp', description: 'd', tools: [{ type: 'function', name: 'look' }] },
];

const exchangeOf = async (body: object): Promise<GenerateExchange> => {
  const route = openaiResponses.routes[0];
  const context = { model: MODEL, requestId: 'req_1', createdAt: 1_700_000_000 };
  return (await route?.parse(
    { input: 'x', tools: TOOLS, stream: true, ...body },
    context as never,
  )) as GenerateExchange;
};

const payloads = (frames: readonly Frame[]): EventPayload[] =>
  frames.flatMap((frame) => (frame.kind === 'event' ? [frame.payload] : []));

/** What both SDKs make of the events. @throws where one of them does */
const assemble = (events: readonly object[]): Promise<readonly unknown[]> => {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  return Promise.all(
    [ResponseStream, ResponseStream7].map((Stream) =>
      Stream.fromReadableStream(new Blob([lines]).stream() as never).finalResponse(),
    ),
  );
};

const stream = async (events: readonly GenerationEvent[], body: object = {}, error?: EngineError) => {
  const exchange = await exchangeOf(body);
  const encoder = exchange.encoder();
  const frames: Frame[] = [...(await encoder.begin())];
  for (const event of events) frames.push(...encoder.event(0, event));
  frames.push(...(await (error === undefined ? encoder.end() : encoder.failure(error))));
  expect(frames.at(-1)).toEqual({ kind: 'done' });
  const sent = payloads(frames);
  for (const event of sent) expectResponseEvent(event);
  expect(sent.map((event) => event.sequence_number)).toEqual(sent.map((_event, index) => index));
  return {
    exchange,
    sent,
    types: sent.map(({ type }) => type),
    last: sent.at(-1) as EventPayload & { response: Response },
  };
};

interface Response {
  readonly id: string;
  readonly status: string;
  readonly output: readonly (Record<string, unknown> & { id: string; type: string })[];
}

const EVERYTHING: readonly GenerationEvent[] = [
  START,
  thought('I must'),
  thought(' add.'),
  text('Let me'),
  text(' add.'),
  ...call(0, 'add', '{"a":', ' 1}'),
  ended(0),
  ...call(1, 'patch', '{"inp', 'ut": "li', 'ne\\n\\u0', '041 \\ud83d', '\\ude00"}'),
  ended(1),
  ...call(2, 'mcp__look', '{}'),
  ended(2),
  finish('tool_calls'),
];

describe('a response of every kind of item', () => {
  test('is told in the order in which it was made', async () => {
    const { types, last, sent } = await stream(EVERYTHING);
    expect(types.slice(2)).toEqual([
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(last.response).toMatchObject({
      status: 'completed',
      output: [
        { type: 'reasoning', content: [{ text: 'I must add.' }] },
        { type: 'message', content: [{ text: 'Let me add.' }] },
        { type: 'function_call', call_id: 'call_0', name: 'add', arguments: '{"a": 1}', status: 'completed' },
        { type: 'custom_tool_call', call_id: 'call_1', name: 'patch', input: 'line\nA 😀' },
        { type: 'function_call', call_id: 'call_2', name: 'look', namespace: 'mcp', arguments: '{}' },
      ],
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 17,
      },
    });
    const added = sent.filter(({ type }) => type === 'response.output_item.added');
    expect(added.map((event) => event.output_index)).toEqual([0, 1, 2, 3, 4]);
    expect(added.map(({ item }) => item)).toMatchObject([
      { type: 'reasoning', content: [] },
      { type: 'message', content: [], status: 'in_progress' },
      { type: 'function_call', arguments: '', status: 'in_progress' },
      { type: 'custom_tool_call', input: '' },
      { type: 'function_call', namespace: 'mcp' },
    ]);
    const ids = last.response.output.map(({ id }) => id);
    expect(new Set(ids).size).toBe(5);
    expect(ids.map((id) => id.split('_')[0])).toEqual(['rs', 'msg', 'fc', 'ctc', 'fc']);
  });

  test('is assembled to the same by the SDKs', async () => {
    for (const body of [{}, { reasoning: { summary: 'auto' }, include: ['reasoning.encrypted_content'] }]) {
      const { sent, last } = await stream(EVERYTHING, body);
      const finals = await assemble(sent);
      expect(finals).toHaveLength(2);
      for (const final of finals) expect(final).toMatchObject({ id: last.response.id, output: last.response.output });
    }
  });

  test('is the same when it is not streamed', async () => {
    const { exchange, last } = await stream(EVERYTHING);
    const collector = new AnswerCollector();
    for (const event of EVERYTHING) collector.add(event);
    const whole = (await exchange.response([collector.answer()])) as Response;
    const { completed_at: _now, ...streamed } = last.response as Response & { completed_at: number };
    expect(whole).toMatchObject(streamed);
    expectSchema('openai', 'Response', whole);
  });
});

test('ends an answer that met its limit inside a call as incomplete, the call too', async () => {
  const { sent, last } = await stream([START, ...call(0, 'add', '{"a"'), finish('length')]);
  expect(last).toMatchObject({
    type: 'response.incomplete',
    response: {
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'function_call', status: 'incomplete', arguments: '{"a"' }],
    },
  });
  for (const final of await assemble(sent)) expect(final).toMatchObject({ status: 'incomplete' });
});

test('gives up a broken call, keeps what the model wrote as text, and says so', async () => {
  const events: GenerationEvent[] = [
    START,
    ...call(0, 'add', '{"a": '),
    { type: 'warning', code: 'malformed_tool_call', message: 'no JSON', index: 0 },
    text('<tool_call>{"a": x</tool_call>'),
    finish('stop'),
  ];
  const { sent, last } = await stream(events);
  expect(last).toMatchObject({
    type: 'response.completed',
    response: {
      output: [
        { type: 'function_call', status: 'incomplete' },
        { type: 'message', status: 'completed', content: [{ text: '<tool_call>{"a": x</tool_call>' }] },
      ],
      warnings: [{ code: 'malformed_tool_call', message: 'no JSON' }],
    },
  });
  for (const final of await assemble(sent)) expect(final).toMatchObject({ status: 'completed' });
});

test('fails with what was said so far, and one terminal event', async () => {
  const error = new EngineError('device_lost', 'the device was lost');
  for (const events of [[], [START, text('So')], [START, thought('Hm')], [START, ...call(0, 'add', '{')]]) {
    const { sent, types, last } = await stream(events, {}, error);
    expect(types.filter((type) => type === 'error')).toEqual([]);
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error', message: 'the device was lost' } },
    });
    for (const final of await assemble(sent)) expect(final).toMatchObject({ status: 'failed' });
  }
  const { last } = await stream([], {}, new EngineError('overloaded', 'Please try again in 1s'));
  expect(last.response).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
});

test('takes the text of a custom tool out of its JSON, wherever the pieces are cut', async () => {
  const inputs = ['', 'plain', 'a "quoted"\\ path\n\ttabbed', '😀 \u0001 é', '*** Begin Patch\n+x\n*** End Patch'];
  for (const input of inputs) {
    for (const json of [JSON.stringify({ input }), ` {\n "input" : ${JSON.stringify(input)} } `]) {
      for (let cut = 0; cut <= json.length; cut++) {
        const pieces = [json.slice(0, cut), json.slice(cut)];
        const events = [START, ...call(0, 'patch', ...pieces), ended(0), finish('tool_calls')];
        const exchange = await exchangeOf({});
        const encoder = exchange.encoder();
        await encoder.begin();
        const sent = events.flatMap((event) => payloads(encoder.event(0, event)));
        const deltas = sent.filter(({ type }) => type.endsWith('input.delta')).map(({ delta }) => delta);
        expect(deltas.join('')).toBe(input);
        expect(sent.find(({ type }) => type.endsWith('input.done'))).toMatchObject({ input });
      }
    }
  }
});

test('gives a custom tool whatever else the model wrote', async () => {
  for (const [json, input] of [
    ['just text', 'just text'],
    ['{"other": 1}', '{"other": 1}'],
    ['{"note": 1, "input": "x"}', 'x'],
    ['"x"', '"x"'],
  ] as const) {
    const { last } = await stream([START, ...call(0, 'patch', json), ended(0), finish('tool_calls')]);
    expect(last.response.output[0]).toMatchObject({ type: 'custom_tool_call', input });
  }
});

test('an empty answer is an empty message', async () => {
  const { last } = await stream([START, finish('stop')]);
  expect(last.response.output).toMatchObject([{ type: 'message', content: [{ text: '' }] }]);
  const { last: warmUp } = await stream([START, finish('length')], { generate: false });
  expect(warmUp).toMatchObject({ type: 'response.completed', response: { output: [], status: 'completed' } });
});

test('both SDKs read on over pings', async () => {
  const encoder = (await exchangeOf({})).encoder();
  const frames: Frame[] = [...(await encoder.begin())];
  for (const event of EVERYTHING) frames.push(...encoder.ping(), ...encoder.event(0, event));
  frames.push(...(await encoder.end()));
  const finals = await assemble(payloads(frames));
  for (const final of finals) expect(final).toMatchObject({ status: 'completed', output: [{}, {}, {}, {}, {}] });
});

test('a format repeated in the response is what the documents call one', async () => {
  const schema = { type: 'object', properties: {}, additionalProperties: false };
  for (const format of [
    { type: 'json_schema', name: 'n', schema, strict: true, description: 'd' },
    { type: 'json_schema', name: 'n', schema },
    { type: 'json_object' },
  ]) {
    const tool = { type: 'function', name: 'add', description: 'Adds.', parameters: schema };
    const body = { text: { format }, tools: [tool], tool_choice: { type: 'function', name: 'add' } };
    const { last } = await stream([START, text('{}'), finish('stop')], body);
    // Open Responses' document knows no schema but null there.
    if ('schema' in format) expectSchema('openai', 'Response', last.response);
    else expectResponse(last.response);
    expect(last.response).toMatchObject({ text: { format }, tool_choice: { type: 'function', name: 'add' } });
  }
});

test('numbers its pings among its events', async () => {
  const encoder = (await exchangeOf({})).encoder();
  await encoder.begin();
  expect(payloads(encoder.ping())).toEqual([{ type: 'keepalive', sequence_number: 2 }]);
  expect(payloads(encoder.event(0, text('x')))[0]).toMatchObject({ sequence_number: 3 });
});
