/** Request bodies: collecting them under a cap, and undoing their Content-Encoding under the same cap. */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { EngineError, toEngineError } from '../runtime/errors.ts';
import type { HeldBody } from './body-budget.ts';
import type { HttpRequest } from './http.ts';

const tooLarge = (maxBytes: number, what: string): EngineError =>
  new EngineError(
    'request_too_large',
    `the ${what} is larger than the limit of ${maxBytes} bytes: send less, or raise the server's body limit`,
  );

/** Collects a body's chunks for a transport. `result` settles once; chunks after that are dropped. */
export class BodyCollector {
  readonly result: Promise<Uint8Array>;
  readonly #maxBytes: number;
  readonly #held: HeldBody | undefined;
  #chunks: Uint8Array[] = [];
  #numBytes = 0;
  #resolve!: (body: Uint8Array) => void;
  #reject!: (error: EngineError) => void;

  /** @param held counts what comes, and may refuse it */
  constructor(request: Pick<HttpRequest, 'headers' | 'signal'>, maxBytes: number, held?: HeldBody) {
    const { headers, signal } = request;
    const contentLength = headers.get('content-length');
    this.#maxBytes = maxBytes;
    this.#held = held;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const gone = (): void => this.#refuse(new EngineError('aborted', 'the client closed the connection'));
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
    if (contentLength !== undefined && Number(contentLength) > maxBytes)
      this.#refuse(tooLarge(maxBytes, 'request body'));
  }

  /** Takes a chunk; the collector keeps it, so a transport that reuses its memory must pass a copy. */
  push(chunk: Uint8Array): void {
    this.#numBytes += chunk.byteLength;
    if (this.#numBytes > this.#maxBytes) {
      this.#refuse(tooLarge(this.#maxBytes, 'request body'));
      return;
    }
    try {
      this.#held?.add(chunk.byteLength);
      this.#chunks.push(chunk);
    } catch (error) {
      this.#refuse(toEngineError(error));
    }
  }

  finish(): void {
    this.#resolve(Buffer.concat(this.#chunks));
  }

  #refuse(error: EngineError): void {
    this.#chunks = [];
    this.#numBytes = Number.POSITIVE_INFINITY;
    this.#reject(error);
  }
}

type Decompress = (body: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

const inflate: Decompress = promisify(zlib.inflate);
const inflateRaw: Decompress = promisify(zlib.inflateRaw);
const gunzip: Decompress = promisify(zlib.gunzip);
const brotli: Decompress = promisify(zlib.brotliDecompress);

/** "deflate" means zlib (RFC 9110 §8.4.1.2), yet some clients send the bare stream. */
const deflate: Decompress = (body, options) =>
  ((body[0] ?? 0) & 0x0f) === 8 ? inflate(body, options) : inflateRaw(body, options);

const decompressors = (): Map<string, Decompress> => {
  const known = new Map<string, Decompress>([
    ['gzip', gunzip],
    ['x-gzip', gunzip],
    ['deflate', deflate],
    ['br', brotli],
  ]);
  // Node has zstd since 22.15; Node 20 answers 415.
  const zstd = (zlib as { zstdDecompress?: typeof zlib.inflate }).zstdDecompress;
  if (zstd !== undefined) known.set('zstd', promisify(zstd) as Decompress);
  return known;
};

const DECOMPRESSORS = decompressors();

/**
 * The request's body, decompressed; neither form may exceed `maxBytes`.
 * @param held counts its bytes
 * @throws EngineError request_too_large, unsupported_media_type, invalid_request (corrupt compression), overloaded, aborted
 */
export const readBody = async (request: HttpRequest, maxBytes: number, held?: HeldBody): Promise<Uint8Array> => {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return request.body(maxBytes, held);
  const decompress = DECOMPRESSORS.get(encoding);
  if (decompress === undefined) {
    const known = [...DECOMPRESSORS.keys()].join(', ');
    throw new EngineError('unsupported_media_type', `content-encoding '${encoding}' is not supported: use ${known}`);
  }
  const body = await request.body(maxBytes, held);
  try {
    const plain = await decompress(body, { maxOutputLength: maxBytes });
    held?.settle(plain.byteLength);
    return plain;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(maxBytes, 'decompressed request body');
    throw new EngineError('invalid_request', `the body is not valid ${encoding}: ${(error as Error).message}`);
  }
};
