/** The events of a download for one client: as many as it reads, and no more than a progress display wants. */
import { SSE_HEADERS, sseComment, sseEvent } from './dialects/sse.ts';
import type { HttpResponse } from './http.ts';
import type { StoreProgress } from './model-store.ts';
import type { Reply } from './reply.ts';

const PROGRESS_INTERVAL_MS = 200;

export class PullStream {
  readonly #reply: Reply;
  readonly #pings: NodeJS.Timeout;
  /** From the first event on: until then an error can still have a status of its own. */
  #response: HttpResponse | undefined;
  /** The client reads slower than we write: what progress there is meanwhile is left out. */
  #isBehind = false;
  #shown: { readonly atMs: number; readonly file: string; readonly phase: StoreProgress['phase'] } | undefined;

  constructor(reply: Reply, pingIntervalMs: number) {
    this.#reply = reply;
    this.#pings = setInterval(() => {
      if (!this.#isBehind) this.#write(sseComment('ping'));
    }, pingIntervalMs);
  }

  progress({ phase, file, fetchedBytes, checkedBytes, totalBytes, bytesPerSecond }: StoreProgress): void {
    const atMs = performance.now();
    const isNews = this.#shown?.file !== file || this.#shown.phase !== phase;
    const isDue = isNews || atMs - (this.#shown?.atMs ?? 0) >= PROGRESS_INTERVAL_MS;
    if (this.#isBehind || !isDue) return;
    this.#shown = { atMs, file, phase };
    this.send({
      type: 'progress',
      phase,
      file,
      bytes: fetchedBytes,
      checkedBytes,
      total: totalBytes,
      bytesPerSecond: bytesPerSecond === undefined ? null : Math.round(bytesPerSecond),
    });
  }

  send(event: { readonly type: string; readonly [field: string]: unknown }): void {
    this.#write(sseEvent(event));
  }

  end(): void {
    clearInterval(this.#pings);
    this.#response?.end();
  }

  #write(frame: string): void {
    this.#response ??= this.#reply.stream(SSE_HEADERS);
    if (this.#response.write(frame)) return;
    this.#isBehind = true;
    void this.#response.drained().then(() => {
      this.#isBehind = false;
    });
  }
}
