/** `firstlight launch`: a coding client with the right environment, against a running server or one of its own. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, join } from 'node:path';
import { pino } from 'pino';
import { type Config, processEnvironment } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { urlHost } from '../server/address.ts';
import { createServer } from '../server/app.ts';
import { LAUNCH_CLIENTS, type LaunchClient, type LaunchTarget } from './launch-clients.ts';
import { loadEngine } from './load-engine.ts';
import { findServer } from './running-server.ts';

export interface LaunchCommand {
  readonly client: keyof typeof LAUNCH_CLIENTS;
  /** Of a running server; absent: the configured host and port are tried. */
  readonly url: string | undefined;
  /** Start a server, whatever runs already. */
  readonly startsServer: boolean;
  /** For the client. */
  readonly arguments: readonly string[];
}

/** A server that lasts as long as the client does. */
interface OwnedTarget {
  readonly target: LaunchTarget;
  close(): Promise<void>;
}

const EXIT_BY_SIGNAL = 128;
/** Sent to this process alone. What the terminal sends (Ctrl-C), the client gets by itself. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP'];

/**
 * Runs the client to its end and resolves to its exit code (128 and the signal's number when a signal ended it).
 * @throws EngineError not_found when the client is not installed, or no server answers at `url`; as `createServer`
 */
export const runLaunch = async (config: Config, command: LaunchCommand): Promise<number> => {
  const client: LaunchClient = LAUNCH_CLIENTS[command.client];
  const path = findCommand(client);
  const { target, close } = await findTarget(config, command);
  try {
    warnOfSmallContext(client, target);
    return await runClient(path, client, target, command.arguments);
  } finally {
    await close();
  }
};

const findTarget = async (config: Config, { url, startsServer }: LaunchCommand): Promise<OwnedTarget> => {
  const [apiKey] = config.apiKeys;
  const wanted = url ?? `http://${urlHost(config.host)}:${config.port}`;
  const target = startsServer ? undefined : await findServer(wanted, apiKey);
  if (target !== undefined) return { target, close: async () => {} };
  if (url !== undefined) {
    const remedy = `start one with \`firstlight serve\`, or leave --url out to have one started`;
    throw new EngineError('not_found', `${url}: no Firstlight server answers there; ${remedy}`);
  }
  return startServer(config, apiKey);
};

/** On a port of its own and silent, since the terminal is the client's. */
const startServer = async (config: Config, apiKey: string | undefined): Promise<OwnedTarget> => {
  const engine = await loadEngine(config);
  try {
    const server = await createServer(engine, {
      port: 0,
      apiKeys: config.apiKeys,
      sessionFields: config.sessionFields,
      verbatimPrompts: config.verbatimPrompts,
      strict: config.strict,
      logger: pino({ level: 'silent' }),
    });
    const { id, contextLength } = engine.model;
    return {
      target: { url: server.url, apiKey, model: id, contextLength },
      close: async () => {
        await server.close();
        await engine.close();
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
};

const warnOfSmallContext = (
  { title, minContextLength }: LaunchClient,
  { model, contextLength }: LaunchTarget,
): void => {
  if (contextLength >= minContextLength) return;
  console.error(
    `warning: ${model} has a context of ${contextLength} tokens; ${title} needs ${minContextLength} or more, and a model made for tools`,
  );
};

/** @throws EngineError not_found */
const findCommand = ({ title, command, install }: LaunchClient): string => {
  const folders = (processEnvironment().PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const name = process.platform === 'win32' ? `${command}.exe` : command;
  const found = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (found !== undefined) return found;
  throw new EngineError('not_found', `${title} (\`${command}\`) is not on the PATH: install it with ${install}`);
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

const runClient = (
  path: string,
  client: LaunchClient,
  target: LaunchTarget,
  ownArguments: readonly string[],
): Promise<number> =>
  new Promise((resolve, reject) => {
    const environment = { ...processEnvironment(), ...client.environment(target) };
    const child = spawn(path, [...client.arguments(target), ...ownArguments], { stdio: 'inherit', env: environment });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    const ignore = (): void => {};
    for (const signal of FORWARDED) process.on(signal, forward);
    process.on('SIGINT', ignore);
    const finish = (): void => {
      for (const signal of FORWARDED) process.off(signal, forward);
      process.off('SIGINT', ignore);
    };
    child.once('error', (cause) => {
      finish();
      reject(new EngineError('internal', `${path} could not be started: ${cause.message}`, {}, { cause }));
    });
    child.once('exit', (code, signal) => {
      finish();
      resolve(code ?? EXIT_BY_SIGNAL + (signal === null ? 0 : osConstants.signals[signal]));
    });
  });
