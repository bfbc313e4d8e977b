/** Fetches one file: several ranges at once, each resumed at the byte where it broke off, checked before it counts. */
import { EngineError } from '../runtime/errors.ts';
import { matchesDigest, plainEtag } from './digest.ts';
import { type HubClient, type HubReply, stopped } from './hub-client.ts';
import type { KnownFile } from './listing.ts';
import { PartialFile } from './partial-file.ts';

/** How a file is cut. */
export interface Cutting {
  /** Most bytes asked for at a time. */
  readonly pieceBytes: number;
  /** Most pieces fetched at the same time. */
  readonly connections: number;
}

export const CUTTING: Cutting = { pieceBytes: 32 * 1024 * 1024, connections: 6 };

export interface FileDownload {
  readonly client: HubClient;
  readonly url: string;
  /** For messages: `ORG/NAME/FILE`. */
  readonly what: string;
  readonly file: KnownFile;
  readonly blobPath: string;
  readonly cutting: Cutting;
  /** Bytes that came (negative: that turned out wrong), and bytes that were checked. */
  readonly onBytes: (phase: 'fetch' | 'check', numBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The file is no longer the one that was listed: list again. */
export class FileChanged extends Error {}

/** The answer broke off or was no answer: ask again. */
class Interrupted extends Error {}

/**
 * Resolves when the blob is there and right. What came of it stays for the next attempt.
 * @throws FileChanged; EngineError as `HubClient.request`, disk_full, overloaded, aborted, and download_failed when the
 * content does not have its digest twice
 */
export const downloadFile = async (download: FileDownload): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    const partial = await PartialFile.open(download.blobPath, download.file.sizeBytes);
    if (await fetchAndCheck(partial, download)) return;
    if (attempt === 1) continue;
    throw new EngineError(
      'download_failed',
      `${download.what}: what came is not what the hub lists (digest ${download.file.etag}), twice; try again later or from another HF_ENDPOINT`,
    );
  }
};

/** False: the content is wrong, and gone. */
const fetchAndCheck = async (partial: PartialFile, download: FileDownload): Promise<boolean> => {
  const { onBytes, signal, file } = download;
  let isOpen = true;
  try {
    await new Transfer(partial, download).run();
    const onChecked = (numBytes: number): void => onBytes('check', numBytes);
    const isRight = await matchesDigest(partial.path, file.etag, { onBytes: onChecked, signal });
    if (isRight === undefined) onBytes('check', partial.sizeBytes);
    isOpen = false;
    if (isRight === false) {
      onBytes('fetch', -partial.sizeBytes);
      onBytes('check', -partial.sizeBytes);
      await partial.discard();
      return false;
    }
    await partial.finish();
    return true;
  } catch (error) {
    if (isOpen && error instanceof FileChanged) {
      onBytes('fetch', -partial.numBytes);
      await partial.discard();
    } else if (isOpen) await partial.close();
    throw error;
  }
};

/** A range being fetched; `next` is the first byte that is missing. */
interface Piece {
  next: number;
  end: number;
}

class Transfer {
  readonly #partial: PartialFile;
  readonly #download: FileDownload;
  readonly #pieces: Piece[];
  /** Where the hub sent us last, and what it called the file there; asked directly until it refuses. */
  #direct:
    | { readonly url: string; readonly linkedEtag: string | undefined; readonly etag: string | undefined }
    | undefined;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #announceRanges: (areHonoured: boolean) => void = () => {};
  readonly #rangesHonoured: Promise<boolean>;

  constructor(partial: PartialFile, download: FileDownload) {
    this.#partial = partial;
    this.#download = download;
    this.#pieces = partial.gaps().flatMap(([start, end]) => cut(start, end, download.cutting.pieceBytes));
    const { signal } = download;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    this.#rangesHonoured = new Promise((resolve) => {
      this.#announceRanges = resolve;
    });
  }

  async run(): Promise<void> {
    const workers = [this.#work()];
    const isParallel = await Promise.race([this.#rangesHonoured, workers[0]!.then(() => false)]);
    const numOthers = isParallel ? Math.min(this.#download.cutting.connections - 1, this.#pieces.length) : 0;
    for (let index = 0; index < numOthers; index++) workers.push(this.#work());
    try {
      await Promise.all(workers);
    } catch (error) {
      // One has failed for good: what the others have so far is kept.
      this.#stop.abort();
      await Promise.allSettled(workers);
      throw error;
    }
  }

  async #work(): Promise<void> {
    for (let piece = this.#pieces.shift(); piece; piece = this.#pieces.shift()) await this.#fetchPiece(piece);
  }

  async #fetchPiece(piece: Piece): Promise<void> {
    const { client, what } = this.#download;
    for (let fruitless = 0; piece.next < piece.end; ) {
      const before = piece.next;
      try {
        await this.#fetchOnce(piece);
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        await this.#partial.save();
        fruitless = piece.next > before ? 0 : fruitless + 1;
        if (fruitless >= client.patience.maxAttempts) {
          throw new EngineError(
            'download_failed',
            `${what}: ${error.message} at byte ${piece.next} of ${this.#partial.sizeBytes}, ${fruitless} times; what is there is kept: try again later`,
            {},
            { cause: error },
          );
        }
        await client.pause(Math.max(fruitless, 1), undefined, this.#signal);
      }
    }
  }

  async #fetchOnce(piece: Piece): Promise<void> {
    const reply = await this.#ask(piece);
    const { response } = reply;
    try {
      this.#checkValidator(reply);
      const start = this.#startOf(response, piece);
      await this.#read(response, piece, start);
    } catch (error) {
      // A body that is left unread would keep its connection.
      await response.body?.cancel().catch(() => undefined);
      throw error;
    }
  }

  /** Asks where the last answer came from; through the hub again when that place refuses, as signed URLs do in time. */
  async #ask(piece: Piece): Promise<HubReply> {
    const { client, url, what } = this.#download;
    const headers = { range: `bytes=${piece.next}-${piece.end - 1}` };
    const request = { what, headers, signal: this.#signal };
    if (this.#direct) {
      const { url: directUrl } = this.#direct;
      try {
        return await client.request({ ...request, url: directUrl });
      } catch (error) {
        const isExpired =
          error instanceof EngineError && ['unauthorized', 'forbidden', 'model_not_found'].includes(error.code);
        if (!isExpired) throw error;
        this.#direct = undefined;
      }
    }
    const reply = await client.request({ ...request, url });
    if (!client.isOwn(reply.url)) {
      const etag = plainEtag(reply.response.headers.get('etag'));
      this.#direct = { url: reply.url, linkedEtag: reply.linkedEtag, etag };
    }
    return reply;
  }

  /** @throws FileChanged when these bytes belong to another version than those before */
  #checkValidator({ response, linkedEtag, url }: HubReply): void {
    const etag = plainEtag(response.headers.get('etag'));
    const direct = this.#direct?.url === url ? this.#direct : undefined;
    const own = linkedEtag ?? direct?.linkedEtag ?? etag;
    this.#requireSame(linkedEtag, this.#download.file.etag);
    this.#requireSame(own, this.#partial.validator);
    this.#requireSame(etag, direct?.etag);
    this.#partial.validator ??= own;
  }

  #requireSame(found: string | undefined, expected: string | undefined): void {
    if (found === undefined || expected === undefined || found === expected) return;
    throw new FileChanged(`${this.#download.what}: its ETag changed from ${expected} to ${found}`);
  }

  /** The first byte of the answer in the file. @throws FileChanged, Interrupted */
  #startOf({ status, headers }: Response, piece: Piece): number {
    const { sizeBytes } = this.#partial;
    const { what } = this.#download;
    if (status !== 206) {
      const length = headers.get('content-length');
      if (length !== null && Number(length) !== sizeBytes) {
        throw new FileChanged(`${what}: listed with ${sizeBytes} bytes, sent with ${length}`);
      }
      // Whoever ignores ranges sends the whole file: one connection takes it all.
      piece.end = sizeBytes;
      this.#pieces.length = 0;
      this.#announceRanges(false);
      return 0;
    }
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? [];
    if (total !== undefined && total !== '*' && Number(total) !== sizeBytes) {
      throw new FileChanged(`${what}: listed with ${sizeBytes} bytes, sent as a part of ${total}`);
    }
    if (start === undefined || Number(start) !== piece.next) {
      throw new Interrupted(`asked for bytes from ${piece.next}, the hub sent "${headers.get('content-range')}"`);
    }
    this.#announceRanges(true);
    return piece.next;
  }

  /** Writes what belongs to the piece. @throws Interrupted when less comes, FileChanged when more than the file has */
  async #read(response: Response, piece: Piece, start: number): Promise<void> {
    let position = start;
    for await (const chunk of this.#chunks(response)) {
      const excess = position + chunk.length - piece.end;
      if (excess > 0 && piece.end === this.#partial.sizeBytes) {
        throw new FileChanged(`${this.#download.what}: listed with ${piece.end} bytes, more came`);
      }
      const numKnown = Math.min(Math.max(piece.next - position, 0), chunk.length);
      const fresh = chunk.subarray(numKnown, chunk.length - Math.max(excess, 0));
      const numNew = await this.#partial.write(fresh, position + numKnown);
      position += chunk.length;
      piece.next = Math.max(piece.next, Math.min(position, piece.end));
      this.#download.onBytes('fetch', numNew);
      // Where only the range's beginning is honoured, the rest belongs to the next piece.
      if (excess >= 0 && piece.end < this.#partial.sizeBytes) return;
    }
    if (piece.next < piece.end) throw new Interrupted('the connection ended');
  }

  /** The body's bytes as they come. @throws Interrupted when they stop coming; EngineError aborted */
  async *#chunks(response: Response): AsyncGenerator<Uint8Array> {
    const { client, what } = this.#download;
    const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await this.#inTime(reader.read(), client.patience.stallMs);
        if (done) return;
        yield value;
      }
    } catch (cause) {
      if (this.#signal.aborted) throw stopped(what, cause);
      if (cause instanceof Interrupted) throw cause;
      throw new Interrupted('the connection broke off', { cause });
    } finally {
      // Releases the lock, and the connection where there is more to come.
      await reader.cancel().catch(() => undefined);
    }
  }

  #inTime<Result>(work: Promise<Result>, limitMs: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Interrupted(`nothing came for ${limitMs / 1000} s`)), limitMs);
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

const cut = (start: number, end: number, pieceBytes: number): Piece[] =>
  Array.from({ length: Math.ceil((end - start) / pieceBytes) }, (_, index) => {
    const next = start + index * pieceBytes;
    return { next, end: Math.min(next + pieceBytes, end) };
  });
