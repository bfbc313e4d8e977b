/** The entry of the thread that keeps the disk tier's files. */
import { parentPort, workerData } from 'node:worker_threads';
import { toErrorRecord } from '../../errors.ts';
import type { Bytes } from './payload.ts';
import { SegmentStore } from './segment-store.ts';
import type { FromSegments, SegmentThreadSetup, ToSegments } from './segment-thread.ts';

const { options, heritage } = workerData as SegmentThreadSetup;
const store = new SegmentStore(options, undefined, heritage);
const port = parentPort!;
const post = (message: FromSegments, payloads: readonly (Bytes | undefined)[] = []): void =>
  port.postMessage(
    message,
    payloads.flatMap((bytes) => (bytes ? [bytes.buffer] : [])),
  );

const answer = async (message: ToSegments): Promise<void> => {
  const { id } = message;
  if (message.method === 'write') {
    const result = await store.write(
      message.blocks,
      once((payloads) => post({ id, payloads }, payloads)),
    );
    post({ id, result });
  } else if (message.method === 'read' || message.method === 'rewrite') {
    post({ id, result: await store[message.method](message.reads, message.into) });
  } else if (message.method === 'open') {
    const result = await store.open();
    post(
      { id, result },
      result.segments.map(({ body }) => body),
    );
    for (const buffer of message.buffers) buffer.fill(0);
  } else if (message.method === 'remove') {
    post({ id, result: await store.remove(message.names) });
  } else {
    post({ id, result: await store[message.method]() });
  }
};

/** What was given back cannot be given back again. */
const once = (giveBack: (payloads: Bytes[]) => void): ((payloads: Bytes[]) => void) => {
  let isBack = false;
  return (payloads) => {
    if (!isBack) giveBack(payloads);
    isBack = true;
  };
};

port.on('message', (message: ToSegments) => {
  answer(message).catch((error) => post({ id: message.id, error: toErrorRecord(error) }));
});
