/** Claude Code in both versions that behave differently: a whole tool loop, and what it shows when something fails. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serve } from '../support/serve.ts';
import { expectCachedTurns } from './cached-turns.ts';
import { clientCase } from './client-case.ts';
import { runCommand, type Workplace, workplace } from './command.ts';
import { harmonyLoop } from './harmony.ts';
import { type Peer, peerCommand } from './peers.ts';
import { clientScript, parallelLoop, pieces, QUESTION, toolLoop } from './scripts.ts';

const ENDPOINT = 'POST /v1/messages';
const VERSIONS: readonly Peer[] = ['claude-code-2.1.197', 'claude-code-2.1.329'];

const claude = (
  peer: Peer,
  url: string,
  place: Workplace,
  args: readonly string[],
  more: Record<string, string> = {},
) =>
  runCommand(peerCommand(peer, 'claude'), args, place, {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_AUTH_TOKEN: 'none',
    ANTHROPIC_MODEL: 'scripted',
    ANTHROPIC_DEFAULT_HAIKU_MODEL: 'scripted',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    ...more,
  });

for (const peer of VERSIONS) {
  clientCase(peer, ENDPOINT, 'prints the answer', async () => {
    const { url } = await serve(clientScript([{ tokens: pieces('Hello from the model.') }]));
    const ended = await claude(peer, url, workplace(), ['-p', 'hi']);
    expect(ended).toMatchObject({ code: 0, stdout: 'Hello from the model.\n' });
  });

  clientCase(peer, ENDPOINT, 'reads a file when the model asks, and shows what the model says of it', async () => {
    const place = workplace();
    const loop = toolLoop(place.secret, 'Read', { file_path: place.file });
    const { url, log } = await serve(loop.script);
    const ended = await claude(peer, url, place, ['-p', QUESTION, '--allowedTools', 'Read']);
    expect(ended).toMatchObject({ code: 0, stdout: `${loop.answer}\n` });
    expectCachedTurns(log);
  });

  clientCase(peer, ENDPOINT, 'runs a command when the model asks, event by event', async () => {
    const place = workplace();
    const loop = toolLoop(place.secret, 'Bash', { command: 'cat notes.txt', description: 'Show the file' }, '');
    const { url } = await serve(loop.script);
    const args = ['-p', QUESTION, '--allowedTools', 'Bash(cat:*)', '--verbose'];
    const ended = await claude(peer, url, place, [...args, '--output-format', 'stream-json']);
    const events = ended.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; result?: string });
    expect(ended.code).toBe(0);
    expect(events.at(-1)).toMatchObject({ type: 'result', is_error: false, num_turns: 2, result: loop.answer });
  });

  clientCase(peer, ENDPOINT, 'reads two files at once', async () => {
    const place = workplace();
    const second = join(place.folder, 'more.txt');
    const secret = `fig-${place.secret}`;
    writeFileSync(second, secret);
    const calls = [{ file_path: place.file }, { file_path: second }];
    const loop = parallelLoop([place.secret, secret], 'Read', calls);
    const { url } = await serve(loop.script);
    const ended = await claude(peer, url, place, ['-p', QUESTION, '--allowedTools', 'Read']);
    expect(ended).toMatchObject({ code: 0, stdout: `${loop.answer}\n` });
  });

  clientCase(peer, ENDPOINT, 'reads a file when a model in the manner of gpt-oss asks', async () => {
    const place = workplace();
    const loop = harmonyLoop(place.secret, 'Read', { file_path: place.file });
    const { url } = await serve(loop.script);
    const ended = await claude(peer, url, place, ['-p', QUESTION, '--allowedTools', 'Read']);
    expect(ended).toMatchObject({ code: 0, stdout: `${loop.answer}\n` });
  });

  clientCase(peer, ENDPOINT, 'shows thinking apart from the answer', async () => {
    const replies = [{ tokens: ['<think>', 'Let me', ' see', '</think>', 'Done', '.'] }];
    const { url } = await serve(clientScript(replies, { reasoningFormat: 'think' }));
    const ended = await claude(peer, url, workplace(), ['-p', 'hi', '--verbose', '--output-format', 'stream-json']);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('"type":"thinking","thinking":"Let me see"');
    expect(ended.stdout).toContain('"result":"Done."');
  });

  clientCase(peer, ENDPOINT, 'asks for less when its answer would not fit into the context', async () => {
    // One token a byte: its prompt takes most of that, and it asks for 64,000 tokens or more.
    const { url } = await serve(
      clientScript([{ tokens: pieces('Hello from the model.') }], { contextLength: 110_000 }),
    );
    const ended = await claude(peer, url, workplace(), ['-p', 'hi']);
    expect(ended).toMatchObject({ code: 0, stdout: 'Hello from the model.\n' });
  });

  clientCase(peer, ENDPOINT, 'says that the prompt is too long for a small context', async () => {
    const { url } = await serve(clientScript([{ tokens: ['ok'] }], { contextLength: 2048 }));
    const ended = await claude(peer, url, workplace(), ['-p', 'hi']);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/prompt is too long/i);
  });
}
