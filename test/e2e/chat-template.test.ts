/** `--chat-template FILE`, from the command line to the answer. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { firstlight, startServer, temporaryFolder } from '../support/firstlight.ts';
import { post } from '../support/serve.ts';

const TEMPLATE = `{% for m in messages %}
{%- if m.content == 'forbidden' %}{{ raise_exception('no such talk') }}{% endif %}
{%- if m.content == 'mistake' %}{{ 'a' + misspelt.name }}{% endif %}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}<|im_start|>assistant
`;

test.runIf(existsSync(EMBEDDED_MODEL_PATH))('a template from a file renders, refuses, and fails as it is', async () => {
  const path = join(temporaryFolder(), 'own.jinja');
  writeFileSync(path, TEMPLATE);
  const server = await startServer(['--chat-template', path]);
  const say = (content: string) => {
    const messages = [{ role: 'user', content }];
    return post(`${server.url}/v1/chat/completions`, { model: 'firstlight-tiny', max_tokens: 4, messages });
  };
  expect((await say('Hello')).status).toBe(200);
  expect(await say('forbidden')).toMatchObject({
    status: 400,
    body: { error: { param: 'messages', message: expect.stringContaining('no such talk') } },
  });
  expect(await say('mistake')).toMatchObject({
    status: 500,
    body: { error: { code: 'model_unsupported', message: expect.stringContaining('template fails') } },
  });
  server.child.kill('SIGTERM');
  expect((await server.finished).code).toBe(0);
});

test.runIf(existsSync(EMBEDDED_MODEL_PATH))('a template that is not there stops the start, by name', async () => {
  const { code, stderr } = await firstlight(['serve', '--port', '0', '--chat-template', 'absent.jinja']);
  expect(code).toBe(1);
  expect(stderr).toContain('--chat-template absent.jinja: the file cannot be read');
});
