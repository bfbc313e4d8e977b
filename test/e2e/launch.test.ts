/** `firstlight launch`: which server a client gets, what it is told, and how it ends. The client is a script. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { firstlight, launcher, scriptedModel, startServer, temporaryFolder } from '../support/firstlight.ts';
import { until } from '../support/until.ts';

const SCRIPT = { contextLength: 40_000, replies: [{ tokens: ['Hello', ' from', ' the', ' model'] }] };

/** A folder for the PATH with a client that runs `body`; it may use `report(value)`. */
const clientNamed = (name: string, body: string): { folder: string; report: () => unknown } => {
  const folder = temporaryFolder();
  const file = join(folder, 'report.json');
  const source = `#!${process.execPath}
const { writeFileSync, renameSync } = require('node:fs');
const file = ${JSON.stringify(file)};
const report = (value) => { writeFileSync(file + '.new', JSON.stringify(value)); renameSync(file + '.new', file); };
${body}`;
  writeFileSync(join(folder, name), source);
  chmodSync(join(folder, name), 0o755);
  return { folder, report: () => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined) };
};

const withPath = (folder: string, more: Record<string, string> = {}): Record<string, string> => ({
  PATH: [folder, process.env.PATH].join(delimiter),
  ...more,
});

const TELL = `report({ args: process.argv.slice(2), env: process.env });`;
const ASK = `
(async () => {
  const { ANTHROPIC_BASE_URL: url, ANTHROPIC_AUTH_TOKEN: key, ANTHROPIC_MODEL: model } = process.env;
  const answer = await fetch(url + '/v1/messages', {
    method: 'POST',
    headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: 16, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  report({ url, status: answer.status, body: await answer.json() });
})();`;

interface Told {
  readonly args: string[];
  readonly env: Record<string, string>;
}

test('starts a server for Claude Code, tells it where and what, and ends the server with it', async () => {
  const { folder, report } = clientNamed('claude', ASK);
  const model = scriptedModel(SCRIPT);
  const run = await firstlight(['launch', 'claude', '--model', model], { environment: withPath(folder) });
  expect(run).toMatchObject({ code: 0, stderr: '' });
  const told = report() as { url: string; status: number; body: { content: { text: string }[] } };
  expect([told.status, told.body.content[0]?.text]).toEqual([200, 'Hello from the model']);
  await expect(fetch(told.url)).rejects.toThrow();
});

test('passes arguments, the exit code and the rest of the environment through', async () => {
  const { folder, report } = clientNamed('claude', `${TELL} process.exitCode = 7;`);
  const environment = withPath(folder, { ANTHROPIC_API_KEY: 'real', CLAUDE_CODE_USE_BEDROCK: '1', MINE: 'kept' });
  const args = ['launch', 'claude', '--model', scriptedModel(SCRIPT), '--', '-p', 'two words', '--model', 'x'];
  const { code } = await firstlight(args, { environment });
  const { args: received, env } = report() as Told;
  expect([code, received]).toEqual([7, ['-p', 'two words', '--model', 'x']]);
  expect(env).toMatchObject({
    MINE: 'kept',
    ANTHROPIC_AUTH_TOKEN: 'none',
    ANTHROPIC_MODEL: 'scripted',
    ANTHROPIC_DEFAULT_HAIKU_MODEL: 'scripted',
    CLAUDE_CODE_AUTO_COMPACT_WINDOW: '40000',
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: '10000',
  });
  expect(env).not.toHaveProperty('ANTHROPIC_API_KEY');
  expect(env).not.toHaveProperty('CLAUDE_CODE_USE_BEDROCK');
});

test('uses the server that runs, with its key, for Codex', async () => {
  const { folder, report } = clientNamed('codex', TELL);
  const server = await startServer(['--model', scriptedModel(SCRIPT), '--api-key', 'secret']);
  const { port } = new URL(server.url);
  const environment = withPath(folder, { FIRSTLIGHT_API_KEYS: 'secret', FIRSTLIGHT_PORT: port });
  expect(await firstlight(['launch', 'codex', '--', 'exec', 'hi'], { environment })).toMatchObject({ code: 0 });
  const { args, env } = report() as Told;
  expect(args.slice(-2)).toEqual(['exec', 'hi']);
  const overrides = args.slice(0, -2).filter((argument) => argument !== '-c');
  expect(overrides).toContain('model="scripted"');
  expect(overrides).toContain('model_provider="firstlight"');
  expect(overrides).toContain(`model_providers.firstlight.base_url="${server.url}/v1"`);
  expect(overrides).toContain('model_providers.firstlight.wire_api="responses"');
  expect(env.CODEX_FIRSTLIGHT_KEY).toBe('secret');
  const wrongKey = await firstlight(['launch', 'codex', '--url', server.url, '--api-key', 'wrong'], { environment });
  expect(wrongKey).toMatchObject({ code: 1, stderr: expect.stringContaining('asks for a key') });
});

test('takes another server at its address for none of its own', async () => {
  const { folder, report } = clientNamed('claude', ASK);
  const other = createServer((request, response) => {
    const models = { object: 'list', data: [{ id: 'theirs', owned_by: 'llamacpp' }] };
    response.end(JSON.stringify(request.url === '/health' ? { status: 'ok' } : models));
  });
  onTestFinished(() => void other.close());
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const port = String((other.address() as AddressInfo).port);
  const environment = withPath(folder, { FIRSTLIGHT_PORT: port, FIRSTLIGHT_MODEL: scriptedModel(SCRIPT) });
  expect(await firstlight(['launch', 'claude'], { environment })).toMatchObject({ code: 0, stderr: '' });
  expect(report()).toMatchObject({ status: 200 });
  const asked = await firstlight(['launch', 'claude', '--url', `http://127.0.0.1:${port}`], { environment });
  expect(asked.stderr).toContain('no Firstlight server answers there');
});

test('says what is missing: the client, the server, the context', async () => {
  const { folder } = clientNamed('claude', '');
  const none = await firstlight(['launch', 'codex'], { environment: { PATH: temporaryFolder() } });
  expect(none.code).toBe(1);
  expect(none.stderr).toContain('npm install -g @openai/codex');
  const nobody = await firstlight(['launch', 'claude', '--url', 'http://127.0.0.1:9'], {
    environment: withPath(folder),
  });
  expect(nobody.code).toBe(1);
  expect(nobody.stderr).toContain('no Firstlight server answers there');
  const small = scriptedModel({ ...SCRIPT, contextLength: 4096 });
  const warned = await firstlight(['launch', 'claude', '--model', small], { environment: withPath(folder) });
  expect(warned.code).toBe(0);
  expect(warned.stderr).toContain('context of 4096 tokens; Claude Code needs 32768');
});

test('hands SIGTERM on, and takes over how the client ended', async () => {
  const { folder, report } = clientNamed('claude', `report({ pid: process.pid }); setInterval(() => {}, 1000);`);
  const child = spawn(process.execPath, [launcher, 'launch', 'claude', '--model', scriptedModel(SCRIPT)], {
    env: { ...process.env, FIRSTLIGHT_KV_DISK: '0', ...withPath(folder) },
    stdio: 'ignore',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await until(() => report() !== undefined);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  expect(code).toBe(128 + 15);
  expect(() => process.kill((report() as { pid: number }).pid, 0)).toThrow();
});
