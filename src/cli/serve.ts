/** `firstlight serve`: one engine, one HTTP server, until a signal or the parent's end. */
import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { hubSettings } from '../hub/settings.ts';
import type { Engine, ModelDescription } from '../runtime/api.ts';
import { type Config, processEnvironment } from '../runtime/config.ts';
import { EngineError } from '../runtime/errors.ts';
import { checkAddress } from '../server/address.ts';
import { createServer } from '../server/app.ts';
import type { ModelStore } from '../server/model-store.ts';
import { HubStore } from './hub-store.ts';
import { loadEngine } from './load-engine.ts';
import { localModel } from './pull.ts';
import { responseStorage } from './response-storage.ts';

const STDERR = 2;
const PARENT_POLL_MS = 500;
const EXIT_INTERRUPTED = 130;
/** Requests that the HTTP side holds beside those the engine lets wait: the running ones, and a margin. */
const MAX_NOT_QUEUED = 256;

/**
 * Serves until told to end; then lets running requests finish. Resolves when the engine is closed.
 * @throws EngineError as `startEngineThread` and `createServer`; also when the engine's thread ends by itself, so that
 * whatever watches this process can start it again
 */
export const runServe = async (config: Config): Promise<void> => {
  // Whoever reads stdout wants the URL; the log goes the other way.
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: STDERR, sync: true }));
  const ending = config.keepRunning ? undefined : parentEnd();
  let onExit: (error: EngineError) => void = () => {};
  const engineFailed = new Promise<EngineError>((resolve) => {
    onExit = resolve;
  });
  await checkAddress(config);
  const found = await localModel(config.model);
  const hooks = {
    onExit: (error: EngineError) => onExit(error),
    onWarning: (reason: string) => logger.warn({ reason }, 'the KV cache has trouble; what it lacks is computed again'),
  };
  const engine = await loadEngine(config, hooks, found);
  const modelStore = openStore(found.path, logger);
  try {
    const server = await createServer(engine, {
      host: config.host,
      port: config.port,
      apiKeys: config.apiKeys,
      insecure: config.insecure,
      corsOrigins: config.corsOrigins,
      sessionFields: config.sessionFields,
      verbatimPrompts: config.verbatimPrompts,
      responseStore: responseStorage(config),
      streamStore: {
        graceMs: config.streamSeconds * 1000,
        maxStreamBytes: Math.floor(config.streamBytes / 16),
        maxBytes: config.streamBytes,
      },
      strict: config.strict,
      maxConcurrentRequests: config.maxQueue + MAX_NOT_QUEUED,
      logLevel: config.logLevel,
      logger,
      ...(modelStore ? { modelStore } : {}),
    });
    // Before the greeting: whoever reads it may send a signal at once.
    const stopped = stopSignal();
    greet(engine, server.url, config.apiKeys.length > 0);
    const reason = await Promise.race([stopped, engineFailed, ...(ending ? [ending.happened] : [])]);
    const hasFailed = reason instanceof EngineError;
    logger.info({ reason: hasFailed ? reason.message : reason }, 'stopping');
    await server.drain();
    if (hasFailed) throw reason;
  } finally {
    ending?.stopWatching();
    await engine.close();
  }
};

/** None when the hub's variables are wrong: a model that is here is served all the same. */
const openStore = (servedPath: string, logger: Logger): ModelStore | undefined => {
  try {
    return new HubStore({ settings: hubSettings(processEnvironment()), servedPath });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    logger.warn({ reason: error.message }, 'models can be neither listed nor fetched over HTTP');
    return undefined;
  }
};

/** Prints what was started, and a command to try it with. */
const greet = (engine: Engine, url: string, needsKey: boolean): void => {
  const { id, architecture, contextLength } = engine.model;
  const key = needsKey ? " -H 'Authorization: Bearer YOUR_KEY'" : '';
  const [path, body] = firstRequest(engine.model);
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  console.log(`adapter  ${engine.adapter}`);
  console.log(`model    ${id} (${architecture}, context ${contextLength})`);
  console.log(`url      ${url}`);
  console.log(`try      curl -N ${url}${path}${key} -H 'Content-Type: application/json' -d '${json}'`);
};

const firstRequest = ({ id, hasChatTemplate, generates }: ModelDescription): [path: string, body: object] => {
  if (!generates) return ['/v1/embeddings', { model: id, input: 'Once upon a time' }];
  return hasChatTemplate
    ? ['/v1/chat/completions', { model: id, stream: true, messages: [{ role: 'user', content: 'Count to 3' }] }]
    : ['/v1/completions', { model: id, stream: true, prompt: 'Once upon a time', max_tokens: 64 }];
};

/** The first SIGINT or SIGTERM. A second SIGINT ends the process where it stands. */
const stopSignal = (): Promise<string> =>
  new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => {
      resolve('SIGINT');
      process.once('SIGINT', () => process.exit(EXIT_INTERRUPTED));
    });
  });

/** npm dies on SIGTERM without passing it on: an orphan must end by itself. */
const parentEnd = () => {
  const parents = parentChain();
  let timer: NodeJS.Timeout | undefined;
  const happened = new Promise<string>((resolve) => {
    timer = setInterval(() => {
      if (parentChain() !== parents) resolve('the parent process ended');
    }, PARENT_POLL_MS).unref();
  });
  return { happened, stopWatching: () => clearInterval(timer) };
};

/**
 * The parent's process id; where that is the shell npm starts commands with, which may outlive npm, the shell's parent
 * too. Only Linux tells of other processes cheaply.
 */
const parentChain = (): string => {
  const parent = process.ppid;
  if (process.platform !== 'linux') return `${parent}`;
  try {
    const [shell = '', flag] = readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0');
    if (!/(^|\/)(ba|da)?sh$/.test(shell) || flag !== '-c') return `${parent}`;
    // The name in parentheses may hold anything; the parent's id is the second field after it.
    const [, grandparent] = readFileSync(`/proc/${parent}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return `${parent} of ${grandparent}`;
  } catch {
    return `${process.ppid}`; // The parent ended between two looks: its successor differs.
  }
};
