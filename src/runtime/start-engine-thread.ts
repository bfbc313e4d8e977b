/** Runs the engine in a thread of its own, so that serving never waits for computing. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { threadEntry } from '../workers/thread-entry.ts';
import type { Engine } from './api.ts';
import type { EngineHooks } from './create-engine.ts';
import type { CreateEngineOptions } from './create-engine-options.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineWorkerData } from './engine-worker.ts';
import { EngineError } from './errors.ts';

export interface EngineThreadHooks extends Pick<EngineHooks, 'onProgress' | 'onWarning'> {
  /** The thread ended without being asked to; all requests have failed, and all later ones will. */
  readonly onExit?: (error: EngineError) => void;
}

/**
 * Like `createEngine`, in another thread.
 * @throws EngineError as `createEngine`; internal when the thread ends before the model is loaded
 */
export const startEngineThread = async (
  options: CreateEngineOptions,
  { onExit, ...listeners }: EngineThreadHooks = {},
): Promise<Engine> => {
  const { port1, port2 } = new MessageChannel();
  const { url, execArgv } = threadEntry(import.meta.url, './engine-worker');
  const workerData: EngineWorkerData = { options, port: port2 };
  const worker = new Worker(url, { workerData, transferList: [port2], execArgv });
  const ended = new Promise<EngineError>((resolve) => {
    let reason = 'it ended unexpectedly';
    worker.on('error', (error) => {
      reason = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => resolve(new EngineError('internal', `the engine thread failed: ${reason}`)));
  });
  const client = await EngineClient.connect(port1, listeners).catch(async (error: EngineError) => {
    const ending = await ended;
    throw error.code === 'internal' ? ending : error;
  });
  let isClosing = false;
  void ended.then((error) => {
    client.fail(error);
    if (!isClosing) onExit?.(error);
  });
  const close = client.close.bind(client);
  client.close = async () => {
    isClosing = true;
    await close();
    await ended;
  };
  return client;
};
