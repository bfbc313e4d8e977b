/** A cache directory for a bench: on the disk that holds this repository, gone when the bench is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SCRATCH = fileURLToPath(new URL('../.firstlight', import.meta.url));
/** Part of every Linux; to copy nothing without the cache means to drop the file from it. */
const DROP = 'dd';
const READ_BYTES = 1024 ** 2;
/** A server promises that KV is saved within this time of an answer's end. */
const PROMISED_MS = 1000;
const POLL_MS = 200;

export class KvFolder {
  readonly path: string;

  constructor() {
    mkdirSync(SCRATCH, { recursive: true });
    this.path = mkdtempSync(join(SCRATCH, 'bench-kv-'));
  }

  /** A server's flags. The limits are no allocations: nothing is dropped for want of room. */
  get tierFlags(): string[] {
    return ['--kv-ram', '32GiB', '--kv-disk', '64GiB', '--kv-fsync', 'never', '--kv-directory', this.path];
  }

  get #files(): string[] {
    return readdirSync(this.path, { recursive: true, encoding: 'utf8' })
      .map((name) => join(this.path, name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  }

  get bytes(): number {
    return this.#files.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  }

  /** Resolves when the server had the time it promises to need, and the folder grows no more. */
  async settled(): Promise<void> {
    let before = -1;
    for (let waitMs = PROMISED_MS; this.bytes !== before; waitMs = POLL_MS) {
      before = this.bytes;
      await sleep(waitMs);
    }
  }

  /** Makes the next read come from the disk itself, not from memory. False: this system offers no such thing. */
  dropFromPageCache(): boolean {
    if (process.platform !== 'linux') return false;
    spawnSync('sync');
    return this.#files.every(
      (path) => spawnSync(DROP, [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']).status === 0,
    );
  }

  /** MiB/s of reading so many bytes of the folder's files through one buffer, one file after another. */
  async plainReadSpeed(numBytes: number): Promise<number> {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const start = performance.now();
    let total = 0;
    for (const path of this.#files) {
      const file = await open(path, 'r');
      for (let bytesRead = -1; bytesRead !== 0 && total < numBytes; total += bytesRead) {
        ({ bytesRead } = await file.read(buffer, 0, READ_BYTES));
      }
      await file.close();
      if (total >= numBytes) break;
    }
    return total / 1024 ** 2 / ((performance.now() - start) / 1000);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Runs `use` with an empty folder that is removed afterwards. */
export const withKvFolder = async <Result>(use: (folder: KvFolder) => Promise<Result>): Promise<Result> => {
  const folder = new KvFolder();
  try {
    return await use(folder);
  } finally {
    folder.remove();
  }
};
