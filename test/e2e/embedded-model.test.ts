/** The main job, end to end: the real command, the embedded model, our kernels, both dialects. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { startServer } from '../support/firstlight.ts';
import { parseSse } from '../support/serve.ts';

const post = (url: string, body: unknown) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

test.runIf(existsSync(EMBEDDED_MODEL_PATH))('counts to 3 in both dialects, token by token, and drains', async () => {
  const server = await startServer([]);
  expect(server.greeting.get('model')).toMatch(/^firstlight-tiny \(llama, context \d+\)$/);
  const messages = [{ role: 'user', content: 'Count to 3' }];
  const request = { model: 'firstlight-tiny', stream: true, temperature: 0, max_tokens: 64, messages };

  const chat = parseSse(await (await post(`${server.url}/v1/chat/completions`, request)).text());
  const pieces = chat.map(([, data]) => (data as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta);
  const texts = pieces.map((delta) => delta?.content ?? '').filter((text) => text !== '');
  expect(texts.join('')).toMatch(/1, 2, 3/);
  expect(texts.length).toBeGreaterThan(1);

  const answer = await post(`${server.url}/v1/messages`, request);
  const deltas = parseSse(await answer.text()).filter(([name]) => name === 'content_block_delta');
  expect(deltas.map(([, data]) => (data as { delta: { text?: string } }).delta.text ?? '').join('')).toMatch(/1, 2, 3/);

  server.child.kill('SIGTERM');
  expect((await server.finished).code).toBe(0);
});
