/**
 * Measures the tiers below the GPU's pool: MB/s into and out of RAM and disk, plain and encrypted, what `put` takes from
 * the caller, and how long a start takes; beside writing and reading the same bytes as one plain file, in the same run.
 * Files just written are read from the system's memory, not from the disk.
 *
 *     npx tsx bench/kv-tiers.ts [--directory FOLDER] [--blocks 1750] [--kilobytes 256] [--record]
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { childKey, rootKey } from '../src/runtime/kv/block-key.ts';
import { DiskTier } from '../src/runtime/kv/tiers/disk.ts';
import { RamTier } from '../src/runtime/kv/tiers/ram.ts';
import type { BlockTier, StoredBlock } from '../src/runtime/kv/tiers/tier.ts';
import { TieredStore } from '../src/runtime/kv/tiers/tiered-store.ts';
import { type Result, recordResults } from './report.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: tmpdir() },
    blocks: { type: 'string', default: '1750' },
    kilobytes: { type: 'string', default: '256' },
    record: { type: 'boolean', default: false },
  },
});
const [numBlocks, payloadBytes] = [Number(values.blocks), Number(values.kilobytes) * 1000];
const megabytes = (numBlocks * payloadBytes) / 1e6;
const BLOCKS_A_PUT = 16;
const scratch = mkdtempSync(join(values.directory, 'firstlight-bench-'));
const pattern = randomBytes(payloadBytes);
const results: Result[] = [];
const report = (what: string, figures: string): void => {
  results.push({ what: `${what}, ${numBlocks} blocks of ${payloadBytes / 1000} kB`, figures });
  console.log(`${what}: ${figures}`);
};
const speed = (ms: number): string => `${((megabytes / ms) * 1000).toFixed(0)} MB/s`;

const sequence = (): StoredBlock[] => {
  let parent = rootKey('bench', 'f16');
  return Array.from({ length: numBlocks }, (_, i) => {
    const tokenIds = Uint32Array.from({ length: 16 }, (_, j) => 16 * i + j);
    const block = { key: childKey(parent, tokenIds), parent, tokenIds, payload: new Uint8Array(pattern) };
    parent = block.key;
    return block;
  });
};

const timed = async (work: () => unknown): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const percentile = (sorted: readonly number[], part: number): string =>
  sorted[Math.floor(sorted.length * part)]!.toFixed(0);

const measure = async (what: string, open: () => Promise<BlockTier>): Promise<void> => {
  const blocks = sequence();
  const keys = blocks.map(({ key }) => key);
  const store = new TieredStore([await open()]);
  const putsUs: number[] = [];
  const putMs = await timed(async () => {
    for (let i = 0; i < numBlocks; i += BLOCKS_A_PUT) {
      putsUs.push(1000 * (await timed(() => store.put(blocks.slice(i, i + BLOCKS_A_PUT)))));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await store.flush();
  });
  putsUs.sort((a, b) => a - b);
  const check = async (from: TieredStore): Promise<number> => {
    let found: (Uint8Array | undefined)[] = [];
    const ms = await timed(async () => {
      found = await from.get(keys);
    });
    if (!found.every((payload) => payload && pattern.equals(payload)))
      throw new Error(`${what}: a block came back wrong`);
    return ms;
  };
  const onPath = `${BLOCKS_A_PUT} blocks take p50 ${percentile(putsUs, 0.5)} µs, p95 ${percentile(putsUs, 0.95)} µs of the caller`;
  if (!store.isDurable) {
    report(what, `put ${speed(putMs)}, get ${speed(await check(store))}; ${onPath}`);
    await store.close();
    return;
  }
  await store.close();
  let reopened: TieredStore | undefined;
  const openMs = await timed(async () => {
    reopened = new TieredStore([await open()]);
  });
  const getMs = await check(reopened!);
  await reopened!.close();
  report(what, `put ${speed(putMs)}, get ${speed(getMs)} after a restart of ${openMs.toFixed(0)} ms; ${onPath}`);
};

const measurePlain = async (): Promise<void> => {
  const path = join(scratch, 'plain');
  const write = (isSynced: boolean) =>
    timed(() => {
      const fd = openSync(path, 'w');
      for (let i = 0; i < numBlocks; i++) writeSync(fd, pattern);
      if (isSynced) fsyncSync(fd);
      closeSync(fd);
    });
  const [writeMs, syncedMs] = [await write(false), await write(true)];
  const readMs = await timed(() => readFileSync(path));
  report('plain file', `write ${speed(writeMs)}, with fsync ${speed(syncedMs)}, read ${speed(readMs)}`);
};

try {
  await measurePlain();
  const maxQueuedBytes = 2e6 * megabytes;
  const maxBytes = 2e6 * megabytes + 100e6;
  await measure('RAM', async () => new RamTier(maxBytes));
  for (const fsync of ['never', 'interval', 'always'] as const) {
    for (const encryptionKey of [undefined, randomBytes(32)]) {
      const what = `disk, fsync ${fsync}${encryptionKey ? ', encrypted' : ''}`;
      const owner = { directory: join(scratch, what), modelFingerprint: 'bench', kvFormat: 'f16', fsync };
      const options = { ...owner, maxBytes, maxQueuedBytes, ...(encryptionKey && { encryptionKey }) };
      await measure(what, () => DiskTier.open(options));
      rmSync(owner.directory, { recursive: true });
    }
  }
  const command = `npx tsx bench/kv-tiers.ts --blocks ${numBlocks} --kilobytes ${values.kilobytes} --record`;
  if (values.record) recordResults('KV cache tiers', results, 'no adapter', command);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
