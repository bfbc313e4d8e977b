/** The served command over HTTP: greeting, streams in both dialects, ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import {
  firstlight,
  greetingOf,
  launcher,
  type RunningServer,
  scriptedModel,
  startServer,
  temporaryFolder,
} from '../support/firstlight.ts';
import { parseSse } from '../support/serve.ts';

const COUNT_TOKENS = ['1', ', ', '2', ', ', '3'];
const counting = { replies: [{ tokens: COUNT_TOKENS }] };
/** Long enough in the making that a signal always comes in the middle of it. */
const lasting = { replies: [{ tokens: Array.from({ length: 40 }, (_, index) => `${index} `), interTokenMs: 25 }] };
const lastingText = lasting.replies[0]?.tokens.join('');

const chatBody = (server: RunningServer, content = 'Count to 3') => ({
  model: server.greeting.get('model')?.split(' ')[0],
  stream: true,
  messages: [{ role: 'user', content }],
});

const postJson = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

const chat = (server: RunningServer) => postJson(`${server.url}/v1/chat/completions`, chatBody(server));

const chatText = (sse: string): string =>
  parseSse(sse)
    .map(([, data]) => (data as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '')
    .join('');

/** Reads a stream's first bytes, so that the request is known to be running, and gives the rest as a promise. */
const begin = async (response: Response): Promise<{ rest: Promise<string> }> => {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value ?? '';
  const finish = async (): Promise<string> => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    return text;
  };
  return { rest: finish() };
};

/** Resolves when the process is gone, or dead and waiting for a parent that never asks. */
const hasEnded = async (pid: number): Promise<void> => {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50));
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

test('prints adapter, model, URL and a curl line that works when pasted', async () => {
  const server = await startServer(['--model', scriptedModel(counting)]);
  expect(server.greeting.get('adapter')).toBe('none (scripted model)');
  expect(server.greeting.get('model')).toBe('scripted (scripted, context 8192)');
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const hasCurl = await promisify(execFile)('curl', ['--version']).then(
    () => true,
    () => false,
  );
  if (!hasCurl) return console.log('curl is not installed: the pasted line was not run');
  const { stdout } = await promisify(execFile)('sh', ['-c', server.greeting.get('try') ?? '']);
  expect(chatText(stdout)).toBe('1, 2, 3');
  expect(stdout).toContain('data: [DONE]');
});

test('streams in both dialects', async () => {
  const server = await startServer(['--model', scriptedModel(counting)]);
  expect(chatText(await (await chat(server)).text())).toBe('1, 2, 3');
  const messages = await postJson(`${server.url}/v1/messages`, { ...chatBody(server), max_tokens: 50 });
  expect(messages.status).toBe(200);
  const events = parseSse(await messages.text());
  const deltas = events.filter(([name]) => name === 'content_block_delta');
  expect(deltas.map(([, data]) => (data as { delta: { text: string } }).delta.text).join('')).toBe('1, 2, 3');
  expect(events.at(-1)?.[0]).toBe('message_stop');
});

test('asks for the key that --api-key sets', async () => {
  const server = await startServer(['--model', scriptedModel(counting), '--api-key', 'one', '--api-key', 'two']);
  expect((await chat(server)).status).toBe(401);
  const answer = await postJson(`${server.url}/v1/chat/completions`, chatBody(server), { authorization: 'Bearer two' });
  expect(answer.status).toBe(200);
  expect(server.greeting.get('try')).toContain('Authorization: Bearer');
});

test.each(['SIGTERM', 'SIGINT'] as const)('on %s finishes running streams, then exits with 0', async (signal) => {
  const server = await startServer(['--model', scriptedModel(lasting)]);
  const { rest } = await begin(await chat(server));
  server.child.kill(signal);
  const text = await rest.catch((error: unknown) => String(error));
  const { code, stderr } = await server.finished;
  expect(chatText(text), stderr).toBe(lastingText);
  expect(text).toContain('data: [DONE]');
  expect(code).toBe(0);
});

test('exits with 130 on a second SIGINT, without waiting', async () => {
  const endless = { replies: [{ tokens: ['a', 'b'], interTokenMs: 3_000_000 }] };
  const server = await startServer(['--model', scriptedModel(endless), '--log-level', 'info']);
  const { rest } = await begin(await chat(server));
  server.child.kill('SIGINT');
  // The log line of the drain says that the first signal has arrived.
  await once(server.child.stderr!, 'data');
  server.child.kill('SIGINT');
  await expect(rest).rejects.toThrow();
  expect((await server.finished).code).toBe(130);
});

/** Runs in every thread of a process; ends the engine's by an error once a file is there. */
const CRASH_ENGINE = `
  const { existsSync } = require('node:fs');
  const { isMainThread, workerData } = require('node:worker_threads');
  const poll = () => { if (existsSync(process.env.CRASH_WHEN)) throw new Error('the engine crashed'); };
  if (!isMainThread && workerData?.port) setInterval(poll, 20);`;

test('when the engine dies tells the clients, ends and exits with 1', async () => {
  const folder = temporaryFolder();
  const [preload, trigger] = [join(folder, 'crash-engine.cjs'), join(folder, 'now')];
  writeFileSync(preload, CRASH_ENGINE);
  const environment = { NODE_OPTIONS: `--require "${preload}"`, CRASH_WHEN: trigger };
  const server = await startServer(['--model', scriptedModel(lasting)], { environment });
  const { rest } = await begin(await chat(server));
  writeFileSync(trigger, '');
  // Its port closes before or after its error is heard of: the streams learn of whichever comes first.
  expect(await rest).toMatch(/"error":\{"message":"the engine thread (failed: the engine crashed|ended unexpectedly)/);
  const { code, stderr } = await server.finished;
  expect(code).toBe(1);
  expect(stderr).toContain('error: the engine thread failed: the engine crashed\n');
});

/** A parent that starts the server as npm does, through a shell that stays between them or not. */
const startOrphan = async (
  args: readonly string[],
  shell: 'stays' | 'goes',
): Promise<{ parent: ChildProcess; server: RunningServer; pid: number }> => {
  const command = `"${process.execPath}" "${launcher}" serve --port 0 ${args.map((argument) => `"${argument}"`).join(' ')}`;
  const line = shell === 'stays' ? `${command} & echo pid $!; wait` : `echo pid $$; exec ${command}`;
  const program = `
    require('node:child_process').spawn('sh', ['-c', ${JSON.stringify(line)}], { stdio: ['ignore', 'inherit', 'inherit'] });
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  const server = await greetingOf(parent);
  const pid = Number(server.greeting.get('pid'));
  onTestFinished(() => {
    parent.kill('SIGKILL');
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  });
  return { parent, server, pid };
};

test.each(['goes', 'stays'] as const)(
  'when its parent disappears finishes running streams and ends, if a shell between them %s',
  async (shell) => {
    const { parent, server, pid } = await startOrphan(['--model', scriptedModel(lasting)], shell);
    const { rest } = await begin(await chat(server));
    parent.kill('SIGKILL');
    expect(chatText(await rest)).toBe(lastingText);
    await hasEnded(pid);
  },
);

test('with --keep-running outlives its parent', async () => {
  const { parent, server, pid } = await startOrphan(['--model', scriptedModel(lasting), '--keep-running'], 'goes');
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  expect(chatText(await (await chat(server)).text())).toBe(lastingText);
  process.kill(pid, 'SIGTERM');
  await hasEnded(pid);
});

test('says in one line that the port is taken', async () => {
  const server = await startServer(['--model', scriptedModel(counting)]);
  const { port } = new URL(server.url);
  const second = await firstlight(['serve', '--model', scriptedModel(counting), '--port', port]);
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(new RegExp(`^error: cannot listen on 127\\.0\\.0\\.1:${port} .*--port.*\\n$`));
});

test('says so before it looks for the model', async () => {
  const server = await startServer(['--model', scriptedModel(counting)]);
  const { port } = new URL(server.url);
  const second = await firstlight(['serve', '--model', 'no-such-file.gguf', '--port', port]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`cannot listen on 127.0.0.1:${port}`);
});
