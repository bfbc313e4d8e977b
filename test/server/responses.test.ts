/** The Responses API as the official SDKs see it, and as the wire shows it. */
import type OpenAI from 'openai';
import { afterAll, describe, expect, test } from 'vitest';
import { OPENAI_SDKS } from '../support/sdks.ts';
import { parseSse, post, type Script, serve } from '../support/serve.ts';
import { TokenGate } from '../support/token-gate.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';
import { expectResponse, expectResponseEvent, numChecked } from '../support/vendor-schemas.ts';

const SCRIPT: Script = {
  reasoningFormat: 'think',
  replies: [
    { when: 'think', tokens: ['<think>', 'Hm', 'm.', '</think>', 'So', ' 4'] },
    { when: 'long', tokens: ['a', 'b', 'c', 'd'], finish: 'length' },
    { when: 'break', tokens: ['one', 'two', 'three'], failAfterTokens: 2 },
    { when: 'json', tokens: ['{', '}'] },
    { when: 'nothing', tokens: [] },
    { tokens: ['1', ', ', '2', ', ', '3'] },
  ],
};

afterAll(() => {
  const checked = numChecked('openai');
  if (checked !== undefined) expect(checked).toBeGreaterThan(0);
});

const overSse = async (url: string, body: object) => {
  const answer = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    body: JSON.stringify({ stream: true, ...body }),
  });
  const text = await answer.text();
  expect(text).toMatch(/^(event: [\w.]+\ndata: \S[^\n]*\n\n)+data: \[DONE\]\n\n$/);
  const events = parseSse(text).slice(0, -1) as [string, Record<string, unknown> & { type: string }][];
  for (const [name, event] of events) expect(name).toBe(event.type);
  return { answer, events: events.map(([, event]) => event) };
};

describe.each(OPENAI_SDKS)('%s', (_name, Sdk) => {
  describe.each(TRANSPORTS)('over %s', (transport) => {
    const connect = async () => {
      const served = await serve(SCRIPT, { transport });
      return { ...served, client: new Sdk({ baseURL: `${served.url}/v1`, apiKey: 'x', maxRetries: 0 }) };
    };

    test('answers a text with a whole response object', async () => {
      const { client } = await connect();
      const response = await client.responses.create({ model: 'scripted', input: 'Count to 3' });
      expect(response.output_text).toBe('1, 2, 3');
      expect(response._request_id).toMatch(/^req_/);
      expect(response).toMatchObject({ status: 'completed', model: 'scripted', error: null, incomplete_details: null });
      expect(response.usage?.output_tokens).toBe(5);
      expect(response.usage?.total_tokens).toBe((response.usage?.input_tokens ?? 0) + 5);
    });

    test('streams what the SDK assembles to the same object', async () => {
      const { client } = await connect();
      for (const [input, text, status] of [
        ['Count to 3', '1, 2, 3', 'completed'],
        ['think', 'So 4', 'completed'],
        ['long', 'abcd', 'incomplete'],
        ['nothing', '', 'completed'],
      ] as const) {
        for (const reasoning of [{}, { summary: 'auto' as const }]) {
          const stream = client.responses.stream({ model: 'scripted', input, reasoning });
          const pieces: string[] = [];
          for await (const event of stream) {
            expectResponseEvent(event);
            if (event.type === 'response.output_text.delta') pieces.push(event.delta);
          }
          const final = await stream.finalResponse();
          expect([pieces.join(''), final.output_text, final.status]).toEqual([text, text, status]);
          const stored = await client.responses.retrieve(final.id);
          expect(stored.output_text).toBe(text);
          expect(stored.output.map(({ id, type }) => [id, type])).toEqual(
            final.output.map(({ id, type }) => [id, type]),
          );
        }
      }
    });

    test('parses an answer that follows a schema', async () => {
      const { client } = await connect();
      const schema = { type: 'object', properties: {}, required: [], additionalProperties: false };
      const format = { type: 'json_schema' as const, name: 'count', schema, strict: true };
      const response = await client.responses.parse({
        model: 'scripted',
        input: 'json',
        temperature: 0,
        text: { format },
      });
      expect(response.output_text).toBe('{}');
      expect(response.output_parsed).toEqual({});
      expect(response.text).toMatchObject({ format });
    });

    test('continues, shows, lists and erases what it has stored', async () => {
      const { client } = await connect();
      const first = await client.responses.create({ model: 'scripted', input: 'Hello', metadata: { a: 'b' } });
      const second = await client.responses.create({
        model: 'scripted',
        input: [{ role: 'user', content: [{ type: 'input_text', text: 'think' }] }],
        previous_response_id: first.id,
      });
      expect(second).toMatchObject({ previous_response_id: first.id, output_text: 'So 4' });
      expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.total_tokens ?? 0);
      const { _request_id: _a, ...created } = first;
      const { _request_id: _b, ...retrieved } = await client.responses.retrieve(first.id);
      expect(retrieved).toEqual(created);
      const items = await client.responses.inputItems.list(second.id);
      expect(items.data).toMatchObject([
        { type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'think' }] },
      ]);
      await client.responses.delete(first.id);
      const gone = { status: 404, code: 'response_not_found' };
      await expect(client.responses.retrieve(first.id)).rejects.toMatchObject(gone);
      await expect(client.responses.delete(first.id)).rejects.toMatchObject(gone);
      await expect(client.responses.inputItems.list(first.id)).rejects.toMatchObject(gone);
      const again = { model: 'scripted', input: 'Go on', previous_response_id: first.id };
      await expect(client.responses.create(again)).rejects.toMatchObject({
        status: 400,
        code: 'previous_response_not_found',
        param: 'previous_response_id',
      });
    });

    test('counts the tokens of a prompt', async () => {
      const { client } = await connect();
      const body = { model: 'scripted', input: 'Count to 3', instructions: 'Be brief.' };
      const { usage } = await client.responses.create(body);
      const counted = await client.responses.inputTokens.count(body);
      expect(counted).toMatchObject({ object: 'response.input_tokens', input_tokens: usage?.input_tokens });
    });

    test('fails inside the stream with a response that says so', async () => {
      const { client } = await connect();
      const stream = client.responses.stream({ model: 'scripted', input: 'break' });
      const types: string[] = [];
      for await (const event of stream) {
        expectResponseEvent(event);
        types.push(event.type);
      }
      expect(types.at(-1)).toBe('response.failed');
      const final = await stream.finalResponse();
      expect(final).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
      expect(await client.responses.retrieve(final.id)).toMatchObject({ status: 'failed', output_text: 'onetwo' });
      await expect(client.responses.create({ model: 'scripted', input: 'break' })).rejects.toMatchObject({
        status: 500,
      });
    });

    test('cancels a response that is being made, and no other', async () => {
      const gate = new TokenGate();
      const served = await serve(SCRIPT, { transport, beforeToken: gate.beforeToken });
      const client = new Sdk({ baseURL: `${served.url}/v1`, apiKey: 'x', maxRetries: 0 });
      gate.allow(2);
      const stream = await client.responses.create({ model: 'scripted', input: 'Count', stream: true });
      let id = '';
      let text = '';
      const last = (async () => {
        let event: OpenAI.Responses.ResponseStreamEvent | undefined;
        for await (event of stream) {
          if (event.type === 'response.created') id = event.response.id;
          if (event.type === 'response.output_text.delta') text += event.delta;
        }
        return event;
      })();
      await until(() => text === '1, ');
      expect(await client.responses.retrieve(id)).toMatchObject({ id, status: 'in_progress', output_text: '1, ' });
      const cancelled = await client.responses.cancel(id);
      expect(cancelled).toMatchObject({ id, status: 'cancelled', output: [{ content: [{ text: '1, ' }] }] });
      expect(await last).toMatchObject({ type: 'response.incomplete', response: { id, status: 'cancelled' } });
      gate.open();
      expect(await client.responses.cancel(id)).toMatchObject({ id, status: 'cancelled' });
      const done = await client.responses.create({ model: 'scripted', input: 'Count' });
      await expect(client.responses.cancel(done.id)).rejects.toMatchObject({
        status: 400,
        code: 'response_not_cancellable',
      });
    });
  });
});

test('has every key of the response object, before the end and after', async () => {
  const { url } = await serve(SCRIPT);
  const body = {
    model: 'scripted',
    instructions: 'Be brief.',
    max_output_tokens: 100,
    max_tool_calls: 3,
    metadata: { a: 'b' },
    parallel_tool_calls: false,
    prompt_cache_key: 'k',
    reasoning: { effort: 'high', summary: 'detailed' },
    safety_identifier: 's',
    store: false,
    temperature: 0.5,
    text: { verbosity: 'low' },
    tool_choice: 'none',
    tools: [{ type: 'function', name: 'f' }, { type: 'web_search' }],
    top_logprobs: 2,
    top_p: 0.9,
    truncation: 'disabled',
    user: 'u',
  };
  const { events } = await overSse(url, { ...body, input: 'think' });
  const responses = events.flatMap(({ response }) => (response ? [response as Record<string, unknown>] : []));
  expect(responses).toHaveLength(3);
  for (const response of responses) {
    expectResponse(response);
    expect(response).toMatchObject({
      ...body,
      object: 'response',
      background: false,
      presence_penalty: 0,
      frequency_penalty: 0,
      previous_response_id: null,
      service_tier: 'default',
      text: { format: { type: 'text' }, verbosity: 'low' },
      tools: [{ type: 'function', name: 'f', description: null, parameters: null, strict: false }],
    });
  }
  const [created, inProgress, completed] = responses;
  expect(inProgress).toEqual(created);
  expect(created).toMatchObject({ status: 'in_progress', output: [], usage: null, completed_at: null });
  expect(Object.keys(completed ?? {}).sort()).toEqual(Object.keys(created ?? {}).sort());
  const { body: plain } = await post(`${url}/v1/responses`, { input: 'Count' });
  expectResponse(plain as object);
  expect(plain).toMatchObject({ model: 'scripted', store: true, temperature: 1, tool_choice: 'auto', metadata: {} });
});

test('sends its events in order, numbered without gaps, and ends the body after the last', async () => {
  const { url } = await serve(SCRIPT);
  const body = { model: 'scripted', input: 'think', include: ['reasoning.encrypted_content'] };
  const { answer, events } = await overSse(url, body);
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  for (const event of events) expectResponseEvent(event);
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_event, index) => index));
  expect(events.map(({ type }) => type)).toEqual([
    'response.created',
    'response.in_progress',
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
    'response.completed',
  ]);
  const items = events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
  expect(items).toMatchObject([
    { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Hmm.' }] },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'So 4', annotations: [] }] },
  ]);
  expect((items[0] as { encrypted_content: string }).encrypted_content).toMatch(/^[\w.-]+$/);
  expect(events.at(-1)?.response).toMatchObject({ output: items });
});

test('tells the reasoning as a summary too when one is asked for', async () => {
  const { url } = await serve(SCRIPT);
  const { events } = await overSse(url, { input: 'think', reasoning: { summary: 'auto' } });
  const ofReasoning = events.filter(({ type }) => type.includes('summary'));
  expect(ofReasoning.map(({ type, delta }) => [type, delta])).toEqual([
    ['response.reasoning_summary_part.added', undefined],
    ['response.reasoning_summary_text.delta', 'Hm'],
    ['response.reasoning_summary_text.delta', 'm.'],
    ['response.reasoning_summary_text.done', undefined],
    ['response.reasoning_summary_part.done', undefined],
  ]);
  for (const event of events) expectResponseEvent(event);
  expect(events.at(-1)).toMatchObject({
    response: { output: [{ summary: [{ type: 'summary_text', text: 'Hmm.' }] }, { type: 'message' }] },
  });
});

test('streams log-probabilities when they are asked for', async () => {
  const { url } = await serve(SCRIPT);
  const { events } = await overSse(url, {
    input: 'Count',
    top_logprobs: 2,
    include: ['message.output_text.logprobs'],
  });
  for (const event of events) expectResponseEvent(event);
  const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
  expect(deltas[0]).toMatchObject({ delta: '1', logprobs: [{ token: '1', top_logprobs: [{}, {}] }] });
  const { body } = await post(`${url}/v1/responses`, { input: 'Count', top_logprobs: 2 });
  const { output } = body as { output: { content: { logprobs: unknown[] }[] }[] };
  expect(output[0]?.content[0]?.logprobs).toHaveLength(5);
});

test('keeps a silent stream alive with events, not comments', async () => {
  const gate = new TokenGate();
  const { url } = await serve(SCRIPT, { beforeToken: gate.beforeToken, pingIntervalMs: 20 });
  const answer = await fetch(`${url}/v1/responses`, { method: 'POST', body: '{"input":"Count","stream":true}' });
  let text = '';
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if (text.includes('"keepalive"')) gate.open();
  }
  const events = parseSse(text).slice(0, -1) as [string, { type: string; sequence_number: number }][];
  const ping = events.find(([name]) => name === 'keepalive')?.[1];
  expect(Object.keys(ping ?? {}).sort()).toEqual(['sequence_number', 'type']);
  expect(events.map(([, event]) => event.sequence_number)).toEqual(events.map((_event, index) => index));
  expect(events.at(-1)?.[0]).toBe('response.completed');
});

test('keeps what was said to a client that left, as cancelled', async () => {
  const gate = new TokenGate();
  const { url } = await serve(SCRIPT, { beforeToken: gate.beforeToken });
  gate.allow(1);
  const leaving = new AbortController();
  const answer = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    body: '{"input":"Count","stream":true}',
    signal: leaving.signal,
  });
  let text = '';
  const reading = (async () => {
    for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      if (text.includes('output_text.delta')) leaving.abort();
    }
  })();
  await expect(reading).rejects.toThrow();
  const id = /resp_\w+/.exec(text)?.[0];
  const look = async () => (await (await fetch(`${url}/v1/responses/${id}`)).json()) as Record<string, unknown>;
  let response = await look();
  while (response.status === 'in_progress') response = await look();
  expect(response).toMatchObject({ id, status: 'cancelled', output: [{ content: [{ text: '1' }] }] });
});

test('names what it does not support', async () => {
  const { url } = await serve(SCRIPT);
  const image = { role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png;base64,AA==' }] };
  for (const [body, param] of [
    [{ prompt: { id: 'pmpt_1' } }, 'prompt'],
    [{ conversation: 'conv_1' }, 'conversation'],
    [{ input: [image] }, 'input[0].content[0].type'],
    [{ input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] }, 'input[0].content[0].type'],
  ] as const) {
    const { status, body: answer } = await post(`${url}/v1/responses`, { input: 'x', ...body });
    expect([status, answer]).toMatchObject([400, { error: { param, code: 'unsupported_parameter' } }]);
  }
  const compact = await post(`${url}/v1/responses/compact`, { input: 'x' });
  expect(compact).toMatchObject({ status: 400, body: { error: { code: 'unsupported_parameter' } } });
});

test('says which field is wrong', async () => {
  const { url } = await serve(SCRIPT);
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));
  const output = { type: 'function_call_output', call_id: 'call_9', output: 'x' };
  for (const [body, param, code] of [
    [{ input: undefined }, 'input', 'missing_required_parameter'],
    [{ input: [] }, 'input', 'missing_required_parameter'],
    [{ input: [{ role: 'nobody', content: 'x' }] }, 'input[0].role', 'invalid_value'],
    [{ input: [{ type: 'poem', text: 'x' }] }, 'input[0].type', 'invalid_value'],
    [{ input: [output] }, 'input[0].call_id', 'invalid_value'],
    [{ model: 'gpt-9' }, 'model', 'model_not_found'],
    [{ max_output_tokens: 0 }, 'max_output_tokens', 'integer_below_min_value'],
    [{ temperature: 3 }, 'temperature', 'decimal_above_max_value'],
    [{ top_logprobs: 21 }, 'top_logprobs', 'integer_above_max_value'],
    [{ metadata: pairs(17) }, 'metadata', 'invalid_value'],
    [{ metadata: { a: 'x'.repeat(513) } }, 'metadata.a', 'string_above_max_length'],
    [{ metadata: { a: 1 } }, 'metadata.a', 'invalid_type'],
    [{ tool_choice: 'required' }, 'tool_choice', 'invalid_value'],
    [{ tool_choice: { type: 'web_search_preview' } }, 'tool_choice.type', 'invalid_value'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].name', 'missing_required_parameter'],
    [{ text: { format: { type: 'json_schema' } } }, 'text.format.name', 'missing_required_parameter'],
    [{ previous_response_id: 'resp_none' }, 'previous_response_id', 'previous_response_not_found'],
    [{ input: [{ type: 'item_reference', id: 'msg_none' }] }, 'input', 'item_not_found'],
  ] as const) {
    const { body: answer } = await post(`${url}/v1/responses`, { input: 'x', ...body });
    expect(answer, JSON.stringify(body)).toMatchObject({ error: { param, code, type: 'invalid_request_error' } });
  }
  const { body } = await post(`${url}/v1/responses`, { input: 'x'.repeat(20_000) });
  expect(body).toMatchObject({ error: { param: 'input', code: 'context_length_exceeded' } });
});
