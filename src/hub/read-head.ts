/** Reads a remote file's first bytes, as many as it takes to understand its header. */
import { EngineError } from '../runtime/errors.ts';
import { type HubClient, stopped } from './hub-client.ts';

export interface RemoteHead {
  readonly client: HubClient;
  readonly url: string;
  /** For messages: `ORG/NAME/FILE`. */
  readonly what: string;
  readonly sizeBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** A vocabulary of 128 K tokens and its merges take about 8 MB. */
const FIRST_BYTES = 1024 * 1024;
const GROWTH = 4;
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Gives `understands` the file's beginning, longer each time, until it says that this was enough, or there is no more.
 * @throws EngineError as `HubClient.request`; whatever `understands` throws
 */
export const readHead = async (head: RemoteHead, understands: (bytes: Uint8Array) => boolean): Promise<void> => {
  const limit = Math.min(head.sizeBytes, MAX_BYTES);
  let bytes: Buffer = Buffer.alloc(0);
  for (let wanted = Math.min(FIRST_BYTES, limit); ; wanted = Math.min(wanted * GROWTH, limit)) {
    bytes = await extend(head, bytes, wanted);
    if (understands(bytes) || wanted >= limit) return;
  }
};

const extend = async (head: RemoteHead, known: Buffer, wanted: number): Promise<Buffer> => {
  const { client, url, what, signal } = head;
  const chunks: Uint8Array[] = [known];
  let length = known.length;
  for (let fruitless = 0; length < wanted; ) {
    const before = length;
    const headers = { range: `bytes=${length}-${wanted - 1}` };
    const { response } = await client.request({ url, what, headers, signal });
    // Whoever ignores ranges sends the file from its beginning.
    let skip = response.status === 206 ? 0 : length;
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - fresh.length;
        const needed = fresh.subarray(0, wanted - length);
        chunks.push(needed);
        length += needed.length;
        if (length >= wanted) break;
      }
    } catch (cause) {
      if (signal?.aborted) throw stopped(what, cause);
      // Broken off: what came counts, the rest is asked for again.
    }
    if (length >= wanted) break;
    fruitless = length > before ? 0 : fruitless + 1;
    if (fruitless >= client.patience.maxAttempts) {
      throw new EngineError(
        'download_failed',
        `${what}: its header breaks off at byte ${length}, each time; try again later`,
      );
    }
    await client.pause(Math.max(fruitless, 1), undefined, signal);
  }
  return Buffer.concat(chunks, wanted);
};
