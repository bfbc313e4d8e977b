/** Codex: a whole tool loop over server-sent events and over WebSocket. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serve } from '../support/serve.ts';
import { expectCachedTurns } from './cached-turns.ts';
import { clientCase } from './client-case.ts';
import { runCommand, type Workplace, workplace } from './command.ts';
import { harmonyLoop } from './harmony.ts';
import { peerCommand } from './peers.ts';
import { clientScript, jsonTokens, pieces, QUESTION, toolLoop } from './scripts.ts';

const PEER = 'codex-0.169.0';

const configure = (url: string, { home }: Workplace, usesWebSocket: boolean): void => {
  const folder = join(home, '.codex');
  mkdirSync(folder);
  const lines = [
    'model = "scripted"',
    'model_provider = "local"',
    'model_context_window = 200000',
    '[analytics]',
    'enabled = false',
    '[model_providers.local]',
    'name = "Local"',
    `base_url = "${url}/v1"`,
    'wire_api = "responses"',
    'env_key = "LOCAL_KEY"',
    `supports_websockets = ${usesWebSocket}`,
    'request_max_retries = 0',
    'stream_max_retries = 0',
  ];
  writeFileSync(join(folder, 'config.toml'), lines.join('\n'));
};

const codex = (place: Workplace, prompt: string, more: readonly string[] = []) =>
  runCommand(
    peerCommand(PEER, 'codex'),
    ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', ...more, prompt],
    place,
    { LOCAL_KEY: 'none' },
  );

for (const transport of ['SSE', 'WebSocket'] as const) {
  const endpoint = transport === 'SSE' ? 'POST /v1/responses' : 'WebSocket /v1/responses';
  const ways = (log: readonly Readonly<Record<string, unknown>>[]) =>
    log.map(({ method, route }) => `${method} ${route}`);

  clientCase(PEER, endpoint, 'prints the answer', async () => {
    const { url, log } = await serve(clientScript([{ tokens: pieces('Hello from the model.') }]));
    const place = workplace();
    configure(url, place, transport === 'WebSocket');
    const ended = await codex(place, 'hi');
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: 'Hello from the model.\n' });
    expect(ways(log).includes('POST /v1/responses')).toBe(transport === 'SSE');
  });

  clientCase(PEER, endpoint, 'runs a command when the model asks, and shows what the model says of it', async () => {
    const place = workplace();
    const loop = toolLoop(place.secret, 'exec_command', { cmd: 'cat notes.txt' });
    const { url, log } = await serve(loop.script);
    configure(url, place, transport === 'WebSocket');
    const ended = await codex(place, QUESTION);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: `${loop.answer}\n` });
    if (transport === 'SSE') expectCachedTurns(log);
    expect(ways(log).includes('POST /v1/responses')).toBe(transport === 'SSE');
  });

  clientCase(PEER, endpoint, 'runs a command when a model in the manner of gpt-oss asks', async () => {
    const place = workplace();
    const loop = harmonyLoop(place.secret, 'exec_command', { cmd: 'cat notes.txt' });
    const { url } = await serve(loop.script);
    configure(url, place, transport === 'WebSocket');
    const ended = await codex(place, QUESTION);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: `${loop.answer}\n` });
  });

  clientCase(PEER, endpoint, 'gets an answer in the form of a schema', async () => {
    const { url } = await serve(clientScript([{ tokens: jsonTokens({ word: 'plum' }) }]));
    const place = workplace();
    configure(url, place, transport === 'WebSocket');
    const schema = join(place.folder, 'schema.json');
    const word = {
      type: 'object',
      properties: { word: { type: 'string' } },
      required: ['word'],
      additionalProperties: false,
    };
    writeFileSync(schema, JSON.stringify(word));
    const ended = await codex(place, 'A word, please', ['--output-schema', schema]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: '{"word":"plum"}\n' });
  });

  clientCase(PEER, endpoint, 'says what went wrong when the model fails in the middle', async () => {
    const { url } = await serve(clientScript([{ tokens: pieces('Hello from the model.'), failAfterTokens: 2 }]));
    const place = workplace();
    configure(url, place, transport === 'WebSocket');
    const ended = await codex(place, 'hi');
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('failAfterTokens');
  });
}
