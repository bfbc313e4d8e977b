/** A real listening server over a scripted engine, closed after the test. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { createServer, type Server } from '../../src/server/app.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { type BeforeToken, FakeEngine, type Script } from './fake-engine.ts';

export type { BeforeToken, Script };

export interface Served {
  readonly server: Server;
  readonly engine: FakeEngine;
  readonly url: string;
  /** The server's log lines so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

export const serve = async (
  script: Script,
  options: Partial<ServerOptions> = {},
  beforeToken?: BeforeToken,
): Promise<Served> => {
  const engine = new FakeEngine(script, beforeToken);
  const log: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) });
  const server = await createServer(engine, { port: 0, logger, ...options });
  onTestFinished(async () => {
    await server.close();
    await engine.close();
  });
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
