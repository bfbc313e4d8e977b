/** Stored responses through a server: who sees them, what continues from them, and what happens when the disk fails. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/firstlight.ts';
import { type Script, type ServeOptions, serve } from '../support/serve.ts';

const SCRIPT: Script = {
  reasoningFormat: 'think',
  replies: [{ when: 'think', tokens: ['<think>', 'Hmm.', '</think>', 'So', ' 4'] }, { tokens: ['Fi', 'ne'] }],
};

type Json = Record<string, unknown> & { id: string };

const start = async (options: ServeOptions = {}, script = SCRIPT) => {
  const served = await serve(script, options);
  const call = async (method: string, path: string, body?: object, key = 'k1') => {
    const answer = await fetch(served.url + path, {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Json };
  };
  const create = async (body: object, key?: string): Promise<Json> => {
    const answer = await call('POST', '/v1/responses', body, key);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body;
  };
  const numTokens = async (body: object): Promise<number> => {
    const answer = await call('POST', '/v1/responses/input_tokens', body);
    return answer.body.input_tokens as number;
  };
  return { ...served, call, create, numTokens };
};

test('continues with every turn before, the reasoning included, but not with their instructions', async () => {
  const { create, numTokens } = await start();
  const first = await create({ input: 'Please think', instructions: 'Be long.' });
  const second = await create({ input: 'Hello', previous_response_id: first.id });
  const third = { input: 'And?', previous_response_id: second.id, instructions: 'Be brief.' };
  const [reasoning, message] = first.output as object[];
  const whole = [
    { role: 'user', content: 'Please think' },
    reasoning,
    message,
    { role: 'user', content: 'Hello' },
    ...(second.output as object[]),
    { role: 'user', content: 'And?' },
  ];
  expect(await numTokens(third)).toBe(await numTokens({ input: whole, instructions: 'Be brief.' }));
  expect(await create(third)).toMatchObject({ instructions: 'Be brief.', previous_response_id: second.id });
});

test('puts stored items in the place of references to them', async () => {
  const { create, call, numTokens } = await start();
  const first = await create({ input: 'Please think' });
  const output = first.output as Json[];
  const asked = (await call('GET', `/v1/responses/${first.id}/input_items`)).body.data as Json[];
  const ending = { role: 'user', content: 'And?' };
  const referred = [...asked, ...output].map(({ id }) => ({ type: 'item_reference', id }));
  const body = { input: [...referred, ending] };
  expect(await numTokens(body)).toBe(await numTokens({ input: [...asked, ...output, ending] }));
  // The type may be left out.
  expect(await numTokens({ input: [...output.map(({ id }) => ({ id })), ending] })).toBe(
    await numTokens({ input: [...output, ending] }),
  );
  const second = await create(body);
  expect((await call('GET', `/v1/responses/${second.id}/input_items?order=asc&limit=1`)).body).toMatchObject({
    data: [referred[0]],
    has_more: true,
  });
  expect((await create({ input: 'On', previous_response_id: second.id })).status).toBe('completed');
  // What is erased is not in what refers to it.
  await call('DELETE', `/v1/responses/${first.id}`);
  expect(await call('POST', '/v1/responses', { input: 'On', previous_response_id: second.id })).toMatchObject({
    status: 404,
    body: { error: { code: 'item_not_found' } },
  });
});

test('tells which response of a chain is gone', async () => {
  const { create, call } = await start();
  const first = await create({ input: 'One' });
  const second = await create({ input: 'Two', previous_response_id: first.id });
  await call('DELETE', `/v1/responses/${first.id}`);
  const { status, body } = await call('POST', '/v1/responses', { input: 'Three', previous_response_id: second.id });
  expect([status, body]).toMatchObject([400, { error: { code: 'previous_response_not_found' } }]);
  expect((body.error as Json).message).toContain(first.id);
});

test('pages through the input items, newest first unless asked otherwise', async () => {
  const { create, call } = await start();
  const input = Array.from({ length: 5 }, (_, index) => ({ role: 'user', content: `text ${index}` }));
  const { id } = await create({ input });
  const list = async (query: string) => (await call('GET', `/v1/responses/${id}/input_items${query}`)).body;
  const texts = (page: Json) => (page.data as { content: { text: string }[] }[]).map(({ content }) => content[0]?.text);
  const all = await list('');
  expect(texts(all)).toEqual(['text 4', 'text 3', 'text 2', 'text 1', 'text 0']);
  expect(all).toMatchObject({ object: 'list', has_more: false });
  const page = await list('?order=asc&limit=2');
  expect(texts(page)).toEqual(['text 0', 'text 1']);
  expect(page).toMatchObject({ has_more: true, last_id: (page.data as Json[])[1]?.id });
  expect(texts(await list(`?order=asc&after=${page.last_id}`))).toEqual(['text 2', 'text 3', 'text 4']);
  for (const query of ['?limit=0', '?limit=101', '?limit=x', '?order=up', '?after=msg_none']) {
    expect((await call('GET', `/v1/responses/${id}/input_items${query}`)).status, query).toBe(400);
  }
});

test('shows nobody the responses of another key', async () => {
  const { create, call } = await start({ apiKeys: ['k1', 'k2'] });
  const mine = await create({ input: 'My secret' });
  const item = (mine.output as Json[])[0]?.id;
  const gone = { status: 404, body: { error: { code: 'response_not_found' } } };
  for (const [method, suffix] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/cancel'],
    ['GET', '/input_items'],
  ] as const) {
    expect(await call(method, `/v1/responses/${mine.id}${suffix}`, undefined, 'k2')).toMatchObject(gone);
  }
  expect(await call('POST', '/v1/responses', { input: 'x', previous_response_id: mine.id }, 'k2')).toMatchObject({
    status: 400,
    body: { error: { code: 'previous_response_not_found' } },
  });
  const reference = { input: [{ type: 'item_reference', id: item }] };
  expect((await call('POST', '/v1/responses', reference, 'k2')).status).toBe(404);
  expect((await call('GET', `/v1/responses/${mine.id}`)).body).toMatchObject({ id: mine.id, status: 'completed' });
});

test('does not keep what is not to be stored', async () => {
  const directory = join(temporaryFolder(), 'responses');
  const { create, call } = await start({ responseStore: { directory } });
  const { id, store } = await create({ input: 'Hello', store: false });
  expect(store).toBe(false);
  expect((await call('GET', `/v1/responses/${id}`)).status).toBe(404);
  expect(readdirSync(directory)).toEqual([]);
});

test('erases the bytes with the response', async () => {
  const directory = join(temporaryFolder(), 'responses');
  const { create, call } = await start({ responseStore: { directory } });
  const { id } = await create({ input: 'A secret' });
  const [file = ''] = readdirSync(directory);
  expect(readFileSync(join(directory, file), 'utf8')).toContain('A secret');
  expect(await call('DELETE', `/v1/responses/${id}`)).toEqual({
    status: 200,
    body: { id, object: 'response', deleted: true },
  });
  expect(readdirSync(directory)).toEqual([]);
});

test('answers all the same when the disk takes nothing, and says so', async () => {
  const directory = join(temporaryFolder(), 'responses');
  writeFileSync(directory, '');
  const { url, create, call, log } = await start({ responseStore: { directory } });
  const answer = await create({ input: 'A secret' });
  expect(answer).toMatchObject({ status: 'completed', store: false });
  expect((await call('GET', `/v1/responses/${answer.id}`)).status).toBe(404);
  const stream = await fetch(`${url}/v1/responses`, { method: 'POST', body: '{"input":"x","stream":true}' });
  const text = await stream.text();
  expect(text).toMatch(/"type":"response.created".*"store":true/);
  expect(text).toMatch(/"type":"response.completed".*"store":false/);
  const warnings = log.filter(({ level }) => level === 40).map(({ reason }) => reason);
  expect(warnings).toContainEqual(expect.stringMatching(/^could not store a response: /));
  expect(JSON.stringify(log)).not.toContain('secret');
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^firstlight_stored_response_failures_total 2$/m);
  expect(metrics).toMatch(/^firstlight_stored_responses 0$/m);
});

test('stores nothing where no bytes are allowed, without calling it a failure', async () => {
  const { url, create } = await start({ responseStore: { maxBytes: 0 } });
  expect(await create({ input: 'Hello' })).toMatchObject({ store: false });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^firstlight_stored_response_failures_total 0$/m);
});

test('knows its methods', async () => {
  const { url, create } = await start();
  const { id } = await create({ input: 'Hello' });
  for (const [method, path, allowed] of [
    ['GET', '/v1/responses', 'POST, OPTIONS'],
    ['POST', `/v1/responses/${id}`, 'GET, DELETE, OPTIONS'],
    ['GET', `/v1/responses/${id}/cancel`, 'POST, OPTIONS'],
    ['DELETE', `/v1/responses/${id}/input_items`, 'GET, OPTIONS'],
  ] as const) {
    const answer = await fetch(url + path, { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allowed]);
    await answer.body?.cancel();
  }
  expect((await fetch(`${url}/v1/responses/${id}/poem`)).status).toBe(404);
});

test('drops the beginning of a conversation that is too long, where that is asked for', async () => {
  const { create, call, numTokens } = await start({}, { ...SCRIPT, contextLength: 256 });
  const turn = (index: number) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content: `${index} `.repeat(10) });
  const input = Array.from({ length: 21 }, (_, index) => turn(index));
  const body = { input, instructions: 'Be brief.', max_output_tokens: 16 };
  expect(await call('POST', '/v1/responses', body)).toMatchObject({
    status: 400,
    body: { error: { code: 'context_length_exceeded' } },
  });
  const answer = await create({ ...body, truncation: 'auto' });
  expect(answer).toMatchObject({ status: 'completed', truncation: 'auto' });
  const { input_tokens: used } = answer.usage as { input_tokens: number };
  const sizes = await Promise.all(
    input.map((_, first) => numTokens({ input: input.slice(first), instructions: 'Be brief.' })),
  );
  // The instructions stay, and what is left begins with a user.
  expect(sizes.filter((_, first) => first % 2 === 0)).toContain(used);
  expect(used).toBeLessThanOrEqual(256 - 16);
  expect((await call('GET', `/v1/responses/${answer.id}/input_items?limit=100`)).body.data).toHaveLength(21);
  const alone = { input: 'x'.repeat(300), truncation: 'auto' };
  expect((await call('POST', '/v1/responses', alone)).body).toMatchObject({
    error: { code: 'context_length_exceeded' },
  });
});

test('keeps a result with its call when it drops what is before', async () => {
  const { create, numTokens } = await start({}, { ...SCRIPT, contextLength: 512 });
  const call = (id: number) => ({ type: 'function_call', call_id: `c${id}`, name: 'look', arguments: '{}' });
  const result = (id: number) => ({ type: 'function_call_output', call_id: `c${id}`, output: 'far '.repeat(10) });
  const steps = Array.from({ length: 12 }, (_, id) => [call(id), result(id)]).flat();
  const input = [{ role: 'user', content: 'Look.' }, ...steps];
  const answer = await create({ input, truncation: 'auto', max_output_tokens: 16 });
  const { input_tokens: used } = answer.usage as { input_tokens: number };
  const sizes = await Promise.all(steps.map((_, first) => numTokens({ input: steps.slice(first - (first % 2)) })));
  expect(sizes).toContain(used);
});
