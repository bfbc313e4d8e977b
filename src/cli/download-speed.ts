/** How fast a download is now. */

/** The speed is that of so many last seconds: what it was before says little about what is to come. */
const WINDOW_MS = 10_000;
const SAMPLE_MS = 250;

export class DownloadSpeed {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /**
   * Bytes a second when `bytes` are there at `nowMs`, on any clock that does not go back; undefined while there is
   * nothing to tell from.
   */
  next(bytes: number, nowMs: number): number | undefined {
    const last = this.#samples.at(-1);
    // Fewer bytes than before: some were wrong, and are fetched again.
    if (last && bytes < last.bytes) this.#samples.length = 0;
    if (!last || nowMs - last.atMs >= SAMPLE_MS) this.#samples.push({ atMs: nowMs, bytes });
    while (this.#samples.length > 2 && nowMs - this.#samples[0]!.atMs > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (first === undefined || nowMs <= first.atMs || bytes <= first.bytes) return undefined;
    return (1000 * (bytes - first.bytes)) / (nowMs - first.atMs);
  }
}
