/** A process that writes and reads a disk tier until it is killed. Says in lines of hex keys what it knows to be saved. */
import { writeSync } from 'node:fs';
import { DiskTier } from '../../src/runtime/kv/tiers/disk.ts';
import { RamTier } from '../../src/runtime/kv/tiers/ram.ts';
import { TieredStore } from '../../src/runtime/kv/tiers/tiered-store.ts';
import { chain, keysOf, payloadOf } from './kv-blocks.ts';

/** Killed while files are being rewritten, too. */
const COMPACTED_EVERY = 5;
const [directory = '', round = '0'] = process.argv.slice(2);
const shared = {
  directory,
  maxBytes: 1024 ** 3,
  modelFingerprint: 'model',
  kvFormat: 'f16',
  fsync: 'interval' as const,
};
const disk = await DiskTier.open(shared);
const store = new TieredStore([new RamTier(100_000), disk]);
writeSync(1, 'open\n');
for (let i = 0; ; i++) {
  const blocks = chain(30, (Number(round) * 10_000 + i) * 1000, { payloadBytes: 4096 });
  const keys = keysOf(blocks);
  store.put(blocks);
  await store.flush();
  if (i % COMPACTED_EVERY === 0) void disk.compact();
  writeSync(1, keys.flatMap((key) => (store.isSaved(key) ? [`${key}\n`] : [])).join(''));
  for (const [n, payload] of (await store.get(keys)).entries()) {
    if (!payload || !Buffer.from(payload).equals(payloadOf(keys[n]!, 4096))) writeSync(1, `wrong ${keys[n]}\n`);
  }
}
