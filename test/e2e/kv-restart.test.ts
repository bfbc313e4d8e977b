/** A conversation that outlives the server: killed without warning, started again, it goes on where it was. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type OpenAI from 'openai';
import { expect, onTestFinished, test } from 'vitest';
import { EMBEDDED_MODEL_PATH } from '../../src/runtime/config.ts';
import { greetingOf, type RunningServer, spawnServer } from '../support/firstlight.ts';

const SESSION = 'a talk';

interface Session {
  readonly tokens: number;
  readonly savedTokens: number;
}

const start = (directory: string): Promise<RunningServer> =>
  greetingOf(spawnServer(['--kv-directory', directory, '--kv-disk', '256MiB']));

const say = async (url: string, messages: OpenAI.ChatCompletionMessageParam[]) => {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-session-id': SESSION },
    body: JSON.stringify({ model: 'firstlight-tiny', temperature: 0, max_tokens: 60, messages }),
  });
  expect(response.status).toBe(200);
  const { choices, usage } = (await response.json()) as OpenAI.ChatCompletion;
  return { content: choices[0]!.message.content ?? '', usage: usage! };
};

const session = async (url: string): Promise<Session> =>
  (await (await fetch(`${url}/v1/sessions/${encodeURIComponent(SESSION)}`)).json()) as Session;

test.runIf(existsSync(EMBEDDED_MODEL_PATH))(
  'a name told before a kill -9 is known after it, and its KV is not computed again',
  async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'kv-')), 'private');
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const first = await start(directory);
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'My name is Ada.' }];
    messages.push({ role: 'assistant', content: (await say(first.url, messages)).content });
    messages.push({ role: 'user', content: 'Count to 3' });
    const counted = await say(first.url, messages);
    messages.push({ role: 'assistant', content: counted.content });
    let before = await session(first.url);
    // Written behind the answer's back: nobody has asked for it.
    while (before.savedTokens < before.tokens - 1) {
      await sleep(20);
      before = await session(first.url);
    }
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    first.child.kill('SIGKILL');
    await first.finished;

    const second = await start(directory);
    expect((await session(second.url)).savedTokens).toBe(before.savedTokens);
    messages.push({ role: 'user', content: 'What is my name?' });
    const { content, usage } = await say(second.url, messages);
    expect(content).toContain('Ada');
    expect(usage.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(counted.usage.total_tokens - 2);
    second.child.kill('SIGTERM');
    expect((await second.finished).code).toBe(0);
  },
);
