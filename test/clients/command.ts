/** Runs a coding client as its user would, in an empty home and a folder with one file. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/firstlight.ts';

export interface Workplace {
  readonly home: string;
  readonly folder: string;
  /** The file's absolute path. */
  readonly file: string;
  /** What is in it, and nowhere else. */
  readonly secret: string;
}

export const workplace = (): Workplace => {
  const root = temporaryFolder();
  const [home, folder] = [join(root, 'home'), join(root, 'project')];
  for (const path of [home, folder]) mkdirSync(path);
  const file = join(folder, 'notes.txt');
  const secret = `plum-${randomBytes(6).toString('hex')}`;
  writeFileSync(file, `${secret}\n`);
  return { home, folder, file, secret };
};

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Nothing of the developer's own environment but the PATH. */
export const runCommand = (
  command: string,
  args: readonly string[],
  { home, folder }: Workplace,
  environment: Readonly<Record<string, string>>,
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: home, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 100_000,
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
