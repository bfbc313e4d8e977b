/** What a download in progress looks like: how much, how fast, how long still. */
import type { PullProgress } from '../hub/pull-model.ts';
import { formatBytes, formatDuration } from './sizes.ts';

/** The speed is that of so many last seconds: what it was before says little about what is to come. */
const WINDOW_MS = 10_000;
const SAMPLE_MS = 250;

export class DownloadLabel {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** `fetching m.gguf 45%, 1.20 of 2.64 GB, 34.1 MB/s, 42 s left`; `nowMs` on any clock that does not go back. */
  next({ phase, path, fetchedBytes, checkedBytes, totalBytes }: PullProgress, nowMs: number): string {
    if (phase === 'check') return `checking ${path} ${percent(checkedBytes, totalBytes)}`;
    const last = this.#samples.at(-1);
    // Fewer bytes than before: some were wrong, and are fetched again.
    if (last && fetchedBytes < last.bytes) this.#samples.length = 0;
    if (!last || nowMs - last.atMs >= SAMPLE_MS) this.#samples.push({ atMs: nowMs, bytes: fetchedBytes });
    while (this.#samples.length > 2 && nowMs - this.#samples[0]!.atMs > WINDOW_MS) this.#samples.shift();
    const amount = `${formatBytes(fetchedBytes)} of ${formatBytes(totalBytes)}`;
    return `fetching ${path} ${percent(fetchedBytes, totalBytes)}, ${amount}${this.#speed(fetchedBytes, totalBytes, nowMs)}`;
  }

  #speed(fetchedBytes: number, totalBytes: number, nowMs: number): string {
    const first = this.#samples[0]!;
    const bytesPerSecond = (1000 * (fetchedBytes - first.bytes)) / (nowMs - first.atMs);
    if (!Number.isFinite(bytesPerSecond) || bytesPerSecond <= 0) return '';
    const left = formatDuration((totalBytes - fetchedBytes) / bytesPerSecond);
    return `, ${formatBytes(bytesPerSecond)}/s, ${left} left`;
  }
}

const percent = (part: number, whole: number): string => `${whole === 0 ? 100 : Math.floor((100 * part) / whole)}%`;
