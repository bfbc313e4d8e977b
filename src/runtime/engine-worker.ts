/** The engine thread's entry: loads the model it was started for, and serves it to the port it was given. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { createEngine } from './create-engine.ts';
import type { CreateEngineOptions } from './create-engine-options.ts';
import { type FromEngine, serveEngine } from './engine-thread.ts';
import { toErrorRecord } from './errors.ts';

export interface EngineWorkerData {
  readonly options: CreateEngineOptions;
  readonly port: MessagePort;
}

const { options, port } = workerData as EngineWorkerData;
const post = (message: FromEngine): void => port.postMessage(message);
// The GPU binding would keep the thread alive.
port.on('close', () => process.exit());
try {
  const engine = await createEngine(options, {
    onProgress: (progress) => post({ type: 'progress', progress }),
    onWarning: (message) => post({ type: 'warning', message }),
  });
  serveEngine(engine, port);
} catch (error) {
  post({ type: 'unavailable', error: toErrorRecord(error) });
  port.close();
}
