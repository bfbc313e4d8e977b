/** What a download in progress looks like: how much, how fast, how long still. */
import type { PullProgress } from '../hub/pull-model.ts';
import { DownloadSpeed } from './download-speed.ts';
import { formatBytes, formatDuration } from './sizes.ts';

export class DownloadLabel {
  readonly #speed = new DownloadSpeed();

  /** `fetching m.gguf 45%, 1.20 of 2.64 GB, 34.1 MB/s, 42 s left`; `nowMs` on any clock that does not go back. */
  next({ phase, path, fetchedBytes, checkedBytes, totalBytes }: PullProgress, nowMs: number): string {
    if (phase === 'check') return `checking ${path} ${percent(checkedBytes, totalBytes)}`;
    const amount = `${formatBytes(fetchedBytes)} of ${formatBytes(totalBytes)}`;
    const bytesPerSecond = this.#speed.next(fetchedBytes, nowMs);
    const speed = bytesPerSecond === undefined ? '' : speedOf(bytesPerSecond, totalBytes - fetchedBytes);
    return `fetching ${path} ${percent(fetchedBytes, totalBytes)}, ${amount}${speed}`;
  }
}

const speedOf = (bytesPerSecond: number, leftBytes: number): string =>
  `, ${formatBytes(bytesPerSecond)}/s, ${formatDuration(leftBytes / bytesPerSecond)} left`;

const percent = (part: number, whole: number): string => `${whole === 0 ? 100 : Math.floor((100 * part) / whole)}%`;
