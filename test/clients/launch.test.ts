/** `firstlight launch` with the real clients: what it sets is what they want. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { launcher, scriptedModel } from '../support/firstlight.ts';
import { clientCase } from './client-case.ts';
import { runCommand, type Workplace, workplace } from './command.ts';
import { type Peer, peerCommands } from './peers.ts';
import { QUESTION, toolLoop } from './scripts.ts';

const launch = (client: string, peer: Peer, place: Workplace, script: object, args: readonly string[]) => {
  mkdirSync(join(place.home, '.codex'));
  const flags = ['--model', scriptedModel(script), '--kv-disk', '0', '--', ...args];
  const path = [peerCommands(peer), process.env.PATH].join(':');
  return runCommand(process.execPath, [launcher, 'launch', client, ...flags], place, { PATH: path });
};

for (const peer of ['claude-code-2.1.197', 'claude-code-2.1.329'] as const) {
  clientCase(peer, 'firstlight launch claude', 'reads a file and answers, against a server of its own', async () => {
    const place = workplace();
    const { script, answer } = toolLoop(place.secret, 'Read', { file_path: place.file });
    const ended = await launch('claude', peer, place, script, ['-p', QUESTION, '--allowedTools', 'Read']);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: `${answer}\n` });
  });
}

clientCase(
  'codex-0.169.0',
  'firstlight launch codex',
  'reads a file and answers, against a server of its own',
  async () => {
    const place = workplace();
    const { script, answer } = toolLoop(place.secret, 'exec_command', { cmd: 'cat notes.txt' });
    const args = ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', QUESTION];
    const ended = await launch('codex', 'codex-0.169.0', place, script, args);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: `${answer}\n` });
  },
);
