/** A real listening server over the scripted model, closed after the test. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, onTestFinished } from 'vitest';
import type { Engine } from '../../src/runtime/api.ts';
import { createEngine, type EngineHooks } from '../../src/runtime/create-engine.ts';
import type { CreateEngineOptions } from '../../src/runtime/create-engine-options.ts';
import type { ToolFormatName } from '../../src/runtime/output/tool-formats/index.ts';
import { createServer, type Server } from '../../src/server/app.ts';
import type { ServerOptions } from '../../src/server/options.ts';

/** The scripted model's file format. */
export interface Script {
  readonly contextLength?: number;
  readonly reasoningFormat?: 'none' | 'think' | 'think-preopened' | 'harmony';
  readonly toolFormat?: 'none' | ToolFormatName;
  readonly specialTokens?: Readonly<Record<string, number>>;
  readonly replies: readonly {
    readonly when?: string;
    readonly times?: number;
    readonly tokens: readonly (string | { readonly base64: string } | { readonly special: string })[];
    readonly failAfterTokens?: number;
    readonly finish?: 'stop' | 'length';
  }[];
}

export type BeforeToken = NonNullable<EngineHooks['beforeToken']>;

export interface Served {
  readonly server: Server;
  readonly engine: Engine;
  readonly url: string;
  /** The server's log lines so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

export interface ServeOptions extends Partial<ServerOptions> {
  readonly beforeToken?: BeforeToken;
  readonly engine?: Partial<CreateEngineOptions>;
}

/** An engine whose tokens the test that runs now may hold back. */
interface GatedEngine {
  readonly engine: Engine;
  beforeToken: BeforeToken | undefined;
}

/** Starting an engine starts threads: tests of one file with the same script and engine options share one. */
const engines = new Map<string, Promise<GatedEngine>>();
const folders: string[] = [];

afterAll(async () => {
  for (const gated of engines.values()) await (await gated).engine.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

const startEngine = async (script: Script, options: Partial<CreateEngineOptions>): Promise<GatedEngine> => {
  const folder = await mkdtemp(join(tmpdir(), 'firstlight-test-'));
  folders.push(folder);
  const file = join(folder, 'scripted.json');
  await writeFile(file, JSON.stringify(script));
  const gate: Pick<GatedEngine, 'beforeToken'> = { beforeToken: undefined };
  const beforeToken: BeforeToken = async (sequenceId, index) => gate.beforeToken?.(sequenceId, index);
  const model = `scripted:${file}`;
  const engine = await createEngine({ model, numWorkerThreads: 1, ...options }, { beforeToken });
  return Object.assign(gate, { engine });
};

const engineFor = async (script: Script, { beforeToken, engine: options = {} }: ServeOptions): Promise<Engine> => {
  const key = JSON.stringify([script, options]);
  const starting = engines.get(key) ?? startEngine(script, options);
  engines.set(key, starting);
  const gated = await starting;
  gated.beforeToken = beforeToken;
  onTestFinished(() => {
    gated.beforeToken = undefined;
  });
  return gated.engine;
};

/** The model's name for clients is `scripted`. */
export const serve = async (script: Script, options: ServeOptions = {}): Promise<Served> => {
  const { beforeToken: _beforeToken, engine: _engine, ...serverOptions } = options;
  const engine = await engineFor(script, options);
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) });
  const server = await createServer(engine, { port: 0, logger, ...serverOptions });
  onTestFinished(() => server.close());
  return { server, engine, url: server.url, log };
};

/** Posts JSON and returns the answer with its body parsed. */
export const post = async (
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: unknown }> => {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text) as unknown };
};

/** The events of a finished SSE answer: [event name, payload]; `[DONE]` stays text. */
export const parseSse = (text: string): readonly (readonly [event: string, data: unknown])[] =>
  text
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => {
      const lines = block.split('\n');
      const field = (name: string): string =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
      const data = field('data');
      return [field('event'), data === '[DONE]' ? data : (JSON.parse(data) as unknown)];
    });
