/** The commands that fetch and keep models, run as a user would, against a hub on loopback. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DownloadLabel } from '../../src/cli/download-label.ts';
import { formatBytes, formatCount, formatDuration } from '../../src/cli/sizes.ts';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { firstlight, launcher, startServer, temporaryFolder } from '../support/firstlight.ts';
import { HubStandIn, noise } from '../support/hub.ts';
import { until } from '../support/until.ts';

const REPOSITORY = 'org/tiny-GGUF';

const start = async () => {
  const hub = await HubStandIn.start();
  const content = hub.add(REPOSITORY, 'tiny-Q8_0.gguf', readFileSync(EMBEDDED_MODEL_PATH));
  hub.add(REPOSITORY, 'tiny-IQ1_S.gguf', noise(1000));
  hub.add(REPOSITORY, 'mmproj-F16.gguf', noise(1000));
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: temporaryFolder(), HF_HUB_CACHE: '', HF_TOKEN: '' };
  const run = (args: string[], more: Record<string, string> = {}) =>
    firstlight(args, { environment: { ...environment, ...more } });
  return { hub, content, environment, run };
};

test('pulls, lists, shows, verifies and removes a model', async () => {
  const { content, environment, run } = await start();
  const pulled = await run(['pull', REPOSITORY]);
  expect(pulled.stderr).toMatch(/^org\/tiny-GGUF:Q8_0: tiny-Q8_0\.gguf, \d+\.\d+ MB \(preferred of 2 \(/);
  expect(pulled.code).toBe(0);
  const path = pulled.stdout.trim();
  expect(path.startsWith(join(environment.HF_HOME, 'hub', 'models--org--tiny-GGUF', 'snapshots'))).toBe(true);
  expect(readFileSync(path).equals(content)).toBe(true);

  expect((await run(['list'])).stdout).toMatch(/^MODEL .*\norg\/tiny-GGUF:Q8_0 +gguf +\d+\.\d+ MB +\w+\n$/);
  const shown = JSON.parse((await run(['show', REPOSITORY, '--json'])).stdout) as Record<string, unknown>;
  expect(shown).toMatchObject({ name: 'org/tiny-GGUF:Q8_0', canRun: true, hasTokenizer: true, path });
  expect((await run(['show', REPOSITORY])).stdout).toMatch(/^architecture +\w+/m);

  expect(await run(['verify'])).toMatchObject({ code: 0, stdout: 'right    org/tiny-GGUF/tiny-Q8_0.gguf\n' });
  truncateSync(path, content.length - 1);
  const verified = await run(['verify', REPOSITORY]);
  expect(verified).toMatchObject({ code: 1, stdout: 'wrong    org/tiny-GGUF/tiny-Q8_0.gguf\n' });
  expect(verified.stderr).toContain('pull it again');

  expect((await run(['rm', `${REPOSITORY}:Q8_0`])).stdout).toMatch(
    /^removed org\/tiny-GGUF:Q8_0: \d+\.\d+ MB freed\n$/,
  );
  expect((await run(['list'])).stdout).toBe('');
});

test('stops at Ctrl-C, says how to go on, and goes on at that byte', async () => {
  const { hub, content, environment, run } = await start();
  const path = 'tiny-Q8_0.gguf';
  const half = Math.floor(content.length / 2);
  // The header's look is right; then the file breaks off, and nothing more is said.
  hub.fail(path, {}, { cutAfterBytes: half }, { isSilent: true });
  const child = spawn(process.execPath, [launcher, 'pull', REPOSITORY], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  // The cut may swallow bytes that were on their way: what arrived is where the next request begins.
  const resumption = new RegExp(`^[1-9]\\d*-${content.length - 1}$`);
  await until(() => hub.rangesOf(path).some((range) => resumption.test(range)));
  const rest = hub.rangesOf(path).find((range) => resumption.test(range));
  child.kill('SIGINT');
  expect(await ended).toBe(1);
  expect(stderr).toContain('was stopped; asking again goes on where it stopped');
  hub.forget();
  const { code, stdout } = await run(['pull', REPOSITORY]);
  expect(code).toBe(0);
  expect(hub.rangesOf(path).at(-1)).toBe(rest);
  expect(readFileSync(stdout.trim()).equals(content)).toBe(true);
});

test('shows what the hub offers of a model that is not here', async () => {
  const { run } = await start();
  const { code, stdout, stderr } = await run(['show', REPOSITORY]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\* +Q8_0 +\d+\.\d+ MB +tiny-Q8_0\.gguf$/m);
  expect(stdout).toMatch(/^ +IQ1_S +1\.00 KB +tiny-IQ1_S\.gguf$/m);
  expect(stderr).toContain('is what `firstlight pull` would fetch');
});

test('refuses a model that cannot run, in words, before its weights are fetched', async () => {
  const { hub, run } = await start();
  const { code, stderr } = await run(['pull', `${REPOSITORY}:IQ1_S`]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/error: org\/tiny-GGUF\/tiny-IQ1_S\.gguf: magic, at byte 0: not a GGUF file/);
  hub.add('org/roberta', 'config.json', '{"model_type": "roberta", "architectures": ["RobertaModel"]}');
  hub.add('org/roberta', 'model.safetensors', noise(1000), true);
  const { stderr: whyNot } = await run(['pull', 'org/roberta']);
  expect(whyNot).toContain(
    'error: org/roberta/config.json: model_type is "roberta" (RobertaModel): an embedding model',
  );
  expect(hub.rangesOf('model.safetensors')).toEqual([]);
});

test('serves a model of the hub under its name, fetched when it is not here, and later without the hub', async () => {
  const { hub, environment, run } = await start();
  const out = join(temporaryFolder(), 'out.logits');
  const computed = await run(['logits', '--model', `${REPOSITORY}:Q8_0`, '--ids', '1,2', '--out', out]);
  expect(computed).toMatchObject({ code: 0 });
  hub.forget();
  const server = await startServer(['--model', REPOSITORY], { environment: { ...environment, HF_HUB_OFFLINE: '1' } });
  expect(server.greeting.get('model')).toMatch(/^org\/tiny-GGUF:Q8_0 \(/);
  const answer = await fetch(`${server.url}/v1/models/${encodeURIComponent('org/tiny-GGUF:Q8_0')}`);
  expect(await answer.json()).toMatchObject({
    id: 'org/tiny-GGUF:Q8_0',
    served: true,
    format: 'gguf',
    size_bytes: expect.any(Number),
  });
  const removed = await fetch(`${server.url}/api/models/org%2Ftiny-GGUF`, { method: 'DELETE' });
  expect([removed.status, await removed.json()]).toMatchObject([409, { error: { code: 'conflict' } }]);
  expect(hub.requests).toEqual([]);
  server.child.kill('SIGTERM');
  expect((await server.finished).code).toBe(0);
});

test('says what a name can be, and that a path is not there', async () => {
  const { run } = await start();
  expect((await run(['pull', 'tiny'])).stderr).toMatch(/^error: "tiny" names no model on the hub; allowed: ORG\/NAME/);
  expect((await run(['rm', 'org/none'])).stderr).toMatch(/^error: org\/none: is not in .*`firstlight list`/);
  const out = join(temporaryFolder(), 'out.logits');
  const missing = await run(['logits', '--model', 'some/folder', '--ids', '1', '--out', out]);
  expect(missing.stderr).toMatch(/no such repository \(and no file or folder here has this name\)/);
});

test('prefers a folder here to a repository of the same name', async () => {
  const { hub, environment } = await start();
  const cwd = temporaryFolder();
  const args = ['logits', '--model', 'org/tiny.v1', '--ids', '1', '--out', 'x'];
  mkdirSync(join(cwd, 'org', 'tiny.v1'), { recursive: true });
  writeFileSync(join(cwd, 'org', 'tiny.v1', 'README.md'), '');
  const { stderr } = await firstlight(args, { cwd, environment });
  expect(stderr).toContain('org/tiny.v1: neither a GGUF file nor safetensors in this folder');
  expect(hub.requests).toEqual([]);
});

test('shows amount, speed and what is left of a download', () => {
  const label = new DownloadLabel();
  const at = (fetchedBytes: number, nowMs: number): string =>
    label.next({ phase: 'fetch', path: 'm.gguf', fetchedBytes, checkedBytes: 0, totalBytes: 2_000_000_000 }, nowMs);
  expect(at(500_000_000, 0)).toBe('fetching m.gguf 25%, 500 MB of 2.00 GB');
  // What an earlier run left counts as there, not as speed.
  expect(at(600_000_000, 2000)).toBe('fetching m.gguf 30%, 600 MB of 2.00 GB, 50.0 MB/s, 28 s left');
  for (let second = 3; second <= 40; second++) at(600_000_000 + second * 1_000_000, second * 1000);
  expect(at(641_000_000, 41_000)).toContain('1.00 MB/s, 23 min left');
  expect(label.next({ phase: 'check', path: 'm', fetchedBytes: 9, checkedBytes: 5, totalBytes: 10 }, 42_000)).toBe(
    'checking m 50%',
  );
});

test('writes sizes, counts and durations as people read them', () => {
  expect([0, 999, 1000, 12_345, 123_456, 2_640_000_000].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 KB',
    '12.3 KB',
    '123 KB',
    '2.64 GB',
  ]);
  expect([7, 494_000_000, 1_240_000_000].map(formatCount)).toEqual(['7', '494 million', '1.24 billion']);
  expect([0.2, 89, 200, 7500].map(formatDuration)).toEqual(['1 s', '89 s', '3 min', '2 h 5 min']);
});
