/** Sessions of a server with memory and disk below its pool. */
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/firstlight.ts';
import { type Script, serve } from '../support/serve.ts';

const SCRIPT: Script = { replies: [{ tokens: ['Fi', 'ne'] }] };
const MESSAGES = [
  { role: 'system', content: 'You are kind to everybody, and brief.' },
  { role: 'user', content: 'How are you today? I hope that you have slept well.' },
];

const start = async (script = SCRIPT) => {
  const directory = temporaryFolder();
  const engine = { kvTiers: { ramBytes: 2 ** 20, diskBytes: 2 ** 26, directory, fsync: 'never' as const } };
  const { url } = await serve(script, { engine });
  const request = async (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
    const answer = await fetch(url + path, { method, ...(body === undefined ? {} : { body }) });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { status: answer.status, headers: answer.headers, bytes };
  };
  const json = async (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) => {
    const { bytes, ...answer } = await request(method, path, body);
    return { ...answer, body: JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown> };
  };
  const ask = async (session: string, messages: readonly object[] = MESSAGES) => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-session-id': session },
      body: JSON.stringify({ model: 'scripted', messages, temperature: 0 }),
    });
    await answer.text();
    return answer.headers.get('x-firstlight-cache');
  };
  return { request, json, ask };
};

test('a saved session lists all its tokens as saved, and they are found on disk when nothing else has them', async () => {
  const { json, ask } = await start();
  await ask('s');
  const saved = await json('POST', '/v1/sessions/s/save');
  const { tokens } = saved.body as { tokens: number };
  // Of the answer's end there is no KV: nothing was computed after it.
  expect(saved.body).toMatchObject({ savedTokens: tokens - 1, tiers: { disk: { tokens: tokens - 1 } } });
  const evicted = await json('DELETE', '/v1/sessions/s?evict_only=true');
  expect(evicted.body).toMatchObject({
    savedTokens: tokens - 1,
    tiers: { pool: { tokens: 0, bytes: 0 }, ram: { tokens: 0, bytes: 0 }, disk: { tokens: tokens - 1 } },
  });
  expect(await ask('s')).toMatch(/^hit=[1-9]\d*; computed=1; tier=disk; reason=none$/);
});

test('a session that is deleted is nowhere, but for what another one shares', async () => {
  const { json, ask } = await start();
  await ask('s');
  await json('POST', '/v1/sessions/s/save');
  await json('POST', '/v1/sessions/s/fork', JSON.stringify({ id: 'sub' }));
  await json('POST', '/v1/sessions/sub/save');
  await json('DELETE', '/v1/sessions/s');
  expect((await json('GET', '/v1/sessions/sub')).body.savedTokens).toBeGreaterThan(80);
  await json('DELETE', '/v1/sessions/sub');
  expect(await ask('s')).toMatch(/^hit=0; .*tier=none/);
});

test('an exported session goes on at another server of the same model', async () => {
  const [here, there] = [await start(), await start()];
  await here.ask('s');
  const { bytes } = await here.request('POST', '/v1/sessions/s/export');
  const imported = await there.json('POST', '/v1/sessions/import?id=from-here', bytes);
  expect(imported).toMatchObject({ status: 201, body: { id: 'from-here', requests: 0 } });
  expect(await there.ask('from-here')).toMatch(/^hit=[1-9]\d*; computed=1; /);

  const other = await start({ replies: [{ tokens: ['Not', ' fine'] }] });
  const refused = await other.json('POST', '/v1/sessions/import', bytes);
  expect(refused).toMatchObject({ status: 400, body: { error: { code: 'session_file_refused', param: 'file' } } });
});
