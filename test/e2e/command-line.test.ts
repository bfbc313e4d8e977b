/** The command line itself: help, mistakes, where options come from, chat, logits. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { firstlight, launcher, scriptedModel, startServer, temporaryFolder } from '../support/firstlight.ts';
import { nmse, readOracle } from '../support/oracle.ts';
import { hasTestData, testData } from '../support/test-data.ts';

const COMMANDS = [
  'serve',
  'chat',
  'doctor',
  'logits',
  'bench',
  'perplexity',
  'pull',
  'list',
  'show',
  'verify',
  'rm',
  'launch',
];

test.each(COMMANDS)('%s --help explains the command with an example', async (command) => {
  const { code, stdout, stderr } = await firstlight([command, '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: firstlight ${command}`);
  expect(stdout).toContain('Examples:');
  expect(stderr).toBe('');
});

test('a reader that has left before a help is printed is no failure', async () => {
  const child = spawn(process.execPath, [launcher, 'serve', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect([code, stderr]).toEqual([0, '']);
});

test('--version prints the package version', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await firstlight(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([
  [['srve'], 'srve'],
  [['serve', '--prot', '1'], '--prot'],
  [['logits', '--ids', '1'], '--out'],
  [['bench', '--batch', 'many'], 'many'],
  [['chat', '--thinking', 'hard'], 'off, low, medium, high'],
])('exits with 2 when the command line makes no sense: %j', async (args, named) => {
  const { code, stdout, stderr } = await firstlight(args);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^error: /);
  expect(stderr).toContain(named);
});

test('answers a bad value with its name, the value and what is allowed, in one line', async () => {
  const { code, stderr } = await firstlight(['serve', '--port', '70000']);
  expect(code).toBe(1);
  expect(stderr).toBe('error: --port: "70000" is not allowed; allowed: an integer from 0 to 65535\n');
});

test('names the variable, and the file and key, of a bad value', async () => {
  const config = join(temporaryFolder(), 'firstlight.yaml');
  writeFileSync(config, 'kv-memory: lots\n');
  const environment = { FIRSTLIGHT_LOG_LEVEL: 'loud' };
  const { code, stderr } = await firstlight(['serve', '--config', config], { environment });
  expect(code).toBe(1);
  expect(stderr).toContain('error: FIRSTLIGHT_LOG_LEVEL: "loud" is not allowed');
  expect(stderr).toContain(`error: ${config}: kv-memory: "lots" is not allowed`);
});

test('takes options from the file, over them from the environment, over them from flags', async () => {
  const model = scriptedModel({ replies: [{ tokens: ['x'] }] });
  const config = join(temporaryFolder(), 'firstlight.yaml');
  writeFileSync(config, `model: "${model}"\nmodel-id: from-file\ncontext: 64\n`);
  const nameWith = async (args: string[], environment: Record<string, string>): Promise<string | undefined> => {
    const server = await startServer(args, { environment });
    server.child.kill('SIGTERM');
    expect((await server.finished).code).toBe(0);
    return server.greeting.get('model');
  };
  const environment = { FIRSTLIGHT_CONFIG: config };
  expect(await nameWith([], environment)).toBe('from-file (scripted, context 64)');
  const both = { ...environment, FIRSTLIGHT_MODEL_ID: 'from-environment' };
  expect(await nameWith([], both)).toBe('from-environment (scripted, context 64)');
  expect(await nameWith(['--model-id', 'from-flag'], both)).toBe('from-flag (scripted, context 64)');
});

test('says in one line that a model is missing', async () => {
  const { code, stderr } = await firstlight(['serve', '--port', '0', '--model', 'scripted:/no/such/file.json']);
  expect(code).toBe(1);
  expect(stderr).toBe('error: scripted:/no/such/file.json: the file cannot be read\n');
});

test('chats: each line of piped input is a turn, and the conversation goes on', async () => {
  const model = scriptedModel({
    replies: [
      { when: 'name is Ada', tokens: ['Hello', ' Ada', '.'] },
      { when: 'my name', tokens: ['Ada', '!'] },
    ],
  });
  const { code, stdout } = await firstlight(['chat', '--model', model], {
    stdin: 'My name is Ada\nWhat is my name?\n/exit\nnever asked\n',
  });
  expect(stdout).toBe('Hello Ada.\nAda!\n');
  expect(code).toBe(0);
});

test('ends a piped chat with an error when a turn fails', async () => {
  const model = scriptedModel({ replies: [{ tokens: ['a'], failAfterTokens: 0 }] });
  const { code, stderr } = await firstlight(['chat', '--model', model], { stdin: 'Hello\n' });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .*failAfterTokens/m);
});

const ORACLES = ['llama3-q8_0', 'llama3-q4_0'].filter((name) => testData(`oracles/${name}.gguf`) !== undefined);
console.log(`logits: ${ORACLES.length} oracles`);
test.runIf(hasTestData)('there are oracles to compare logits with', () => expect(ORACLES).not.toHaveLength(0));

test.each(ORACLES)('writes the logits of %s as the oracle has them, fed as a file of ids, in chunks', async (name) => {
  const folder = temporaryFolder();
  const oracle = readFileSync(testData(`oracles/${name}.logits`)!);
  const numIds = oracle.readUInt32LE(4);
  writeFileSync(join(folder, 'ids.bin'), oracle.subarray(12, 12 + 4 * numIds));
  const out = join(folder, 'out.logits');
  const flags = ['--model', testData(`oracles/${name}.gguf`)!, '--ids', join(folder, 'ids.bin'), '--out', out];
  const { code, stderr } = await firstlight(['logits', ...flags, '--chunk', '7']);
  expect(code, stderr).toBe(0);
  expect(readFileSync(out).subarray(0, 12 + 4 * numIds)).toEqual(oracle.subarray(0, 12 + 4 * numIds));
  const [actual, expected] = [readOracle(out), readOracle(testData(`oracles/${name}.logits`)!)];
  expect(nmse(actual.logits, expected.logits)).toBeLessThan(1e-6);
});

test('doctor finds every kernel right on this device', async () => {
  const { code, stdout, stderr } = await firstlight(['doctor', '--json']);
  expect(code, stdout + stderr).toBe(0);
  const report = JSON.parse(stdout) as { adapter: string; kernels: { kernel: string; passed: boolean }[] };
  expect(report.adapter).not.toBe('');
  expect(report.kernels.length).toBeGreaterThan(10);
  expect(report.kernels.filter(({ passed }) => !passed)).toEqual([]);
});

test('doctor says that there is no such model before it tries any kernel', async () => {
  const { code, stdout, stderr } = await firstlight(['doctor', '--model', 'no-such.gguf']);
  expect([code, stdout, stderr]).toEqual([1, '', 'error: no-such.gguf: no such file or folder\n']);
});

test('doctor says that there is no such adapter', async () => {
  const { code, stdout, stderr } = await firstlight(['doctor', '--adapter', 'no such adapter']);
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('error: no WebGPU adapter matches --adapter no such adapter.');
});

test.runIf(existsSync(EMBEDDED_MODEL_PATH))('bench counts what it was asked to compute', async () => {
  const flags = ['--prompt-tokens', '20', '--decode-tokens', '3', '--batch', '1,2', '--json'];
  const { code, stdout, stderr } = await firstlight(['bench', ...flags]);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as {
    promptTokens: number;
    results: { batch: number; decodeTokensPerSecond: number }[];
  };
  expect(report.promptTokens).toBe(20);
  expect(report.results.map(({ batch }) => batch)).toEqual([1, 2]);
  for (const { decodeTokensPerSecond } of report.results) expect(decodeTokensPerSecond).toBeGreaterThan(0);
});

test('doctor compares a model with the CPU', async () => {
  const { code, stdout } = await firstlight(['doctor', '--model', EMBEDDED_MODEL_PATH]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/pass {2}.*firstlight-tiny\.gguf, activations f32, KV f32/);
  expect(stdout).toMatch(/NMSE against the CPU \d\.\de-\d+/);
  expect(stdout).toContain('same best token at 8 of 8 positions');
});

test('perplexity scores every token once, whatever the window, and says what context it had', async () => {
  const file = join(temporaryFolder(), 'text.txt');
  writeFileSync(file, 'Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. '.repeat(6));
  const score = async (...args: string[]) => {
    const { code, stdout } = await firstlight(['perplexity', '--file', file, '--json', ...args]);
    expect(code).toBe(0);
    return JSON.parse(stdout) as {
      perplexity: number;
      tokens: number;
      scored: number;
      contextTokens: { mean: number };
    };
  };
  const whole = await score('--window', '512');
  const windows = await score('--window', '32', '--stride', '8');
  expect(windows.tokens).toBe(whole.tokens);
  expect(windows.scored).toBe(whole.scored);
  expect(whole.scored).toBeGreaterThanOrEqual(whole.tokens - 1);
  expect(windows.contextTokens.mean).toBeLessThan(whole.contextTokens.mean);
  expect(whole.perplexity).toBeGreaterThan(1);
  expect(windows.perplexity).toBeGreaterThan(whole.perplexity);
});
