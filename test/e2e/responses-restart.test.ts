/** Stored responses outlive a server that is killed without warning. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scriptedModel, startServer, temporaryFolder } from '../support/firstlight.ts';

test('a response that was answered before a kill -9 is shown, continued and erased after it', async () => {
  const model = scriptedModel({ replies: [{ tokens: ['Fi', 'ne'] }] });
  const directory = join(temporaryFolder(), 'kv');
  const start = () => startServer(['--model', model, '--kv-directory', directory, '--kv-disk', '64MiB']);
  const first = await start();
  const stream = await fetch(`${first.url}/v1/responses`, {
    method: 'POST',
    body: JSON.stringify({ input: 'How are you?', stream: true }),
  });
  let text = '';
  // The terminal event is the promise: what comes after it may never come.
  for await (const piece of stream.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if (text.includes('event: response.completed')) break;
  }
  first.child.kill('SIGKILL');
  await first.finished;

  const { url } = await start();
  const id = /resp_[0-9a-f]+/.exec(text)?.[0];
  const get = async (path: string, options = {}) => (await fetch(`${url}/v1/responses${path}`, options)).json();
  expect(await get(`/${id}`)).toMatchObject({ id, status: 'completed', output: [{ content: [{ text: 'Fine' }] }] });
  const body = JSON.stringify({ input: 'And now?', previous_response_id: id });
  expect(await get('', { method: 'POST', body })).toMatchObject({ status: 'completed', previous_response_id: id });
  expect(await get(`/${id}`, { method: 'DELETE' })).toMatchObject({ deleted: true });
  expect(await get(`/${id}`)).toMatchObject({ error: { code: 'response_not_found' } });
});

test('a response in the background is found as failed after a kill -9 that it did not outlive', async () => {
  const model = scriptedModel({ replies: [{ tokens: ['one', 'two'], interTokenMs: 60_000 }] });
  const directory = join(temporaryFolder(), 'kv');
  const start = () => startServer(['--model', model, '--kv-directory', directory, '--kv-disk', '64MiB']);
  const first = await start();
  const body = JSON.stringify({ input: 'Take your time.', background: true });
  const accepted = await fetch(`${first.url}/v1/responses`, { method: 'POST', body });
  const { id } = (await accepted.json()) as { id: string };
  first.child.kill('SIGKILL');
  await first.finished;

  const { url } = await start();
  const found = await (await fetch(`${url}/v1/responses/${id}`)).json();
  expect(found).toMatchObject({ id, status: 'failed', error: { code: 'server_error' }, background: true });
  const stream = await (await fetch(`${url}/v1/responses/${id}?stream=true`)).text();
  expect(stream).toContain('event: response.failed');
  const next = await fetch(`${url}/v1/responses/${id}/cancel`, { method: 'POST' });
  expect(next.status).toBe(400);
});
