import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withChatTemplate } from '../../src/runtime/chat-template-file.ts';
import { createEngine } from '../../src/runtime/create-engine.ts';
import type { TokenizerDefinition } from '../../src/workers/tokenizer/definition.ts';
import { scriptedModel } from '../support/firstlight.ts';

const folder = mkdtempSync(join(tmpdir(), 'firstlight-template-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const DEFINITION: TokenizerDefinition = {
  model: 'llama',
  tokens: ['a'],
  tokenTypes: [1],
  endTokenIds: [],
  addBos: false,
  addSpacePrefix: false,
  chatTemplate: 'own',
};

test('takes the place of the model’s own, and leaves the rest', async () => {
  const source = '{% for m in messages %}{{ m.content }}{% endfor %}';
  const changed = await withChatTemplate(DEFINITION, file('good.jinja', source));
  expect(changed).toEqual({ ...DEFINITION, chatTemplate: source });
});

test.each([
  ['broken.jinja', '{% for %}', 'cannot be read'],
  ['open.jinja', '{% if messages %}', 'cannot be read'],
  ['empty.jinja', ' \n', 'empty'],
  [
    'endless.jinja',
    '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}',
    'ran longer than',
  ],
])('%s is refused by name', async (name, source, reason) => {
  const path = file(name, source);
  await expect(withChatTemplate(DEFINITION, path)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(new RegExp(`${name}.*${reason}`)),
  });
});

test.each(['absent.jinja', ''])('what is no file is refused by name: %j', async (name) => {
  const path = join(folder, name);
  await expect(withChatTemplate(DEFINITION, path)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(`--chat-template ${path}: the file cannot be read`),
  });
});

test('a scripted model has none to replace, and says so', async () => {
  const model = scriptedModel({ replies: [{ tokens: ['x'] }] });
  await expect(createEngine({ model, chatTemplatePath: 'a.jinja' })).rejects.toMatchObject({ code: 'config_invalid' });
});
