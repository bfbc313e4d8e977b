/** Runs the real command, as a user would: `node bin/firstlight.js …`, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const launcher = join(root, 'bin/firstlight.js');

export interface Finished {
  /** null: killed by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
}

/** Only what a process needs: nothing of the developer's own FIRSTLIGHT_ variables, and no KV on the developer's disk. */
const environmentOf = (added: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('FIRSTLIGHT_'));
  return { ...Object.fromEntries(inherited), FIRSTLIGHT_KV_DISK: '0', ...added };
};

/** What was said for good: without set-up, when sources have changed since the last build, and without progress lines. */
const lastingWords = (stderr: string): string => stderr.replaceAll(/^(firstlight: .*|.* … \d+ s)\n/gm, '');

const collect = (child: ChildProcess) => {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const finished = new Promise<Finished>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout: output.stdout, stderr: lastingWords(output.stderr) }));
  });
  return { output, finished };
};

/** Runs a command to its end. */
export const firstlight = (args: readonly string[], options: CommandOptions = {}): Promise<Finished> => {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: options.cwd ?? root,
    env: environmentOf(options.environment),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { finished } = collect(child);
  child.stdin.end(options.stdin ?? '');
  return finished;
};

export interface RunningServer {
  readonly child: ChildProcess;
  readonly url: string;
  /** What it printed on stdout, by the word that begins the line: adapter, model, url, try. */
  readonly greeting: ReadonlyMap<string, string>;
  readonly finished: Promise<Finished>;
}

/** Waits for the greeting of a server whose stdout `child` passes on. */
export const greetingOf = (child: ChildProcess): Promise<RunningServer> => {
  const { output, finished } = collect(child);
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', () => {
      const lines = output.stdout.split('\n').slice(0, -1);
      const greeting = new Map(lines.map((line) => /^(\w+)\s+(.*)$/.exec(line)?.slice(1) as [string, string]));
      if (greeting.has('try')) resolve({ child, url: greeting.get('url') ?? '', greeting, finished });
    });
    void finished.then(({ code, stderr }) => reject(new Error(`the server ended with ${code}: ${stderr}`)));
  });
};

/** Starts `firstlight serve` on a free port; the test's end kills it. */
export const startServer = (args: readonly string[], options: CommandOptions = {}): Promise<RunningServer> => {
  const child = spawnServer(args, options);
  onTestFinished(() => void child.kill('SIGKILL'));
  return greetingOf(child);
};

/** Like `startServer`, for several tests: who starts it kills it. */
export const spawnServer = (args: readonly string[], options: CommandOptions = {}): ChildProcess =>
  spawn(process.execPath, [launcher, 'serve', '--port', '0', '--log-level', 'warn', ...args], {
    cwd: options.cwd ?? root,
    env: environmentOf(options.environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  });

/** A folder that the test's end removes. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'firstlight-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

/** Writes a scripted model and returns what `--model` takes. */
export const scriptedModel = (script: object): string => {
  const path = join(temporaryFolder(), 'scripted.json');
  writeFileSync(path, JSON.stringify(script));
  return `scripted:${path}`;
};
