import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DiskTier } from '../../../../src/runtime/kv/tiers/disk.ts';
import { RamTier } from '../../../../src/runtime/kv/tiers/ram.ts';
import { TieredStore } from '../../../../src/runtime/kv/tiers/tiered-store.ts';
import { chain, keysOf, payloadOf } from '../../../support/kv-blocks.ts';

const MIB = 1024 ** 2;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'firstlight-tiers-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const openDisk = (maxBytes = 64 * MIB) =>
  DiskTier.open({ directory, maxBytes, modelFingerprint: 'model', kvFormat: 'f16', fsync: 'never' });

describe('tiered store', () => {
  test('gives a block from RAM, and from disk once RAM has evicted it', async () => {
    const store = new TieredStore([new RamTier(8 * 1024), await openDisk()]);
    const [old, young] = [chain(8, 0), chain(8, 5000)];
    store.put(old);
    await store.flush();
    store.put(young);
    expect(store.tierOf(young[0]!.key)).toBe('ram');
    expect(store.tierOf(old[0]!.key)).toBe('disk');
    const [payload] = await store.get([old[0]!.key]);
    expect(payload).toEqual(payloadOf(old[0]!.key, 1024));
    await store.close();
  });

  test('lends from disk without keeping a copy in RAM, and reads as much again once it has the memory back', async () => {
    const first = new TieredStore([await openDisk()]);
    const blocks = chain(40, 0, { payloadBytes: 128 * 1024 });
    const keys = keysOf(blocks);
    first.put(blocks);
    await first.close();
    const store = new TieredStore([new RamTier(MIB), await openDisk()]);
    const loans = await Promise.all([store.lend(keys.slice(0, 20)), store.lend(keys.slice(20)), store.lend(keys)]);
    const fourth = store.lend([keys[39]!]);
    expect(
      await Promise.race([fourth.then(() => 'came'), new Promise((resolve) => setTimeout(resolve, 50, 'waits'))]),
    ).toBe('waits');
    for (const [key, payload] of [
      ...keys.map((key, i) => [key, [...loans[0]!.payloads, ...loans[1]!.payloads][i]!] as const),
      ...keys.map((key, i) => [key, loans[2]!.payloads[i]!] as const),
    ]) {
      expect(Buffer.from(payload).equals(payloadOf(key, 128 * 1024))).toBe(true);
    }
    for (const { release } of loans) release();
    expect(Buffer.from((await fourth).payloads[0]!).equals(payloadOf(keys[39]!, 128 * 1024))).toBe(true);
    expect(store.tierOf(keys[3]!)).toBe('disk');
    await store.close();
  });

  test('gives the right bytes to whoever asks while the same blocks are being written', async () => {
    const store = new TieredStore([new RamTier(64 * MIB), await openDisk()]);
    const blocks = chain(600, 0, { payloadBytes: 16 * 1024 });
    const keys = keysOf(blocks);
    store.put(blocks);
    const early = await store.get(keys.slice(0, 50));
    const [during] = await Promise.all([store.get(keys), store.flush()]);
    for (const [i, key] of keys.entries()) {
      expect(Buffer.from(during[i]!).equals(payloadOf(key, 16 * 1024)), `block ${i}`).toBe(true);
    }
    for (const [i, payload] of early.entries()) expect(payload!.byteLength, `block ${i}`).toBe(16 * 1024);
    expect(keys.every((key) => store.isSaved(key))).toBe(true);
    await store.close();
  });

  test('says what follows a block, whichever tier has it', async () => {
    const store = new TieredStore([new RamTier(MIB), await openDisk()]);
    const blocks = chain(3, 0);
    const branch = chain(1, 900, { parent: blocks[0]!.key });
    store.put([...blocks, ...branch]);
    const expected = [blocks[1]!, branch[0]!].map(({ key, tokenIds }) => [key, tokenIds]);
    expect([...store.childrenOf(blocks[0]!.key)]).toEqual(expected);
    await store.flush();
    store.delete(keysOf(blocks), ['ram']);
    expect([...store.childrenOf(blocks[0]!.key)].map(([key]) => key).sort()).toEqual(
      expected.map(([key]) => key).sort(),
    );
    await store.close();
  });

  test('forgets deleted blocks in every tier, also those that wait to be written', async () => {
    const store = new TieredStore([new RamTier(MIB), await openDisk()]);
    const [written, waiting] = [chain(3, 0), chain(3, 5000)];
    store.put(written);
    await store.flush();
    store.put(waiting);
    store.delete(keysOf([...written, ...waiting]));
    await store.flush();
    expect(keysOf([...written, ...waiting]).map((key) => store.tierOf(key))).toEqual(Array(6).fill(undefined));
    expect(store.stats().map(({ bytes }) => bytes)).toEqual([0, 0]);
    await store.close();
  });

  test('stays under the limit of every tier, however much is put', async () => {
    const store = new TieredStore([new RamTier(20 * 1024), await openDisk(100 * 1024)]);
    for (let i = 0; i < 60; i++) {
      store.put(chain(5, i * 1000));
      if (i % 10 === 0) await store.flush();
      for (const { bytes, maxBytes, tier } of store.stats()) expect(bytes, tier).toBeLessThanOrEqual(maxBytes);
    }
    await store.flush();
    expect(store.stats().every(({ blocks }) => blocks > 0)).toBe(true);
    await store.close();
  });
});

describe('a main conversation of 28K tokens among bursts of subagents', () => {
  const MAIN_BLOCKS = 1750;
  const AGENT_BLOCKS = [375, 400, 437];
  const NUM_TURNS = 6;

  test('stays in RAM as a whole, though each burst exceeds what room it leaves', async () => {
    const ram = new RamTier(2600 * 64);
    const store = new TieredStore([ram]);
    const main = chain(MAIN_BLOCKS, 0, { payloadBytes: 64 });
    const keys = keysOf(main);
    store.put(main.map((block) => ({ ...block, weight: 4 })));
    for (let turn = 0; turn < NUM_TURNS; turn++) {
      for (const [i, numBlocks] of AGENT_BLOCKS.entries()) {
        const agent = chain(numBlocks, 1_000_000 * (1 + turn * AGENT_BLOCKS.length + i), { payloadBytes: 64 });
        store.put(agent.map((block) => ({ ...block, weight: 4 })));
        // The subagent is done.
        store.weigh(keysOf(agent), 1);
      }
      expect(keys.filter((key) => !ram.has(key)).length, `turn ${turn}`).toBe(0);
      await store.get(keys);
    }
    expect(ram.stats().evictedBlocks).toBeGreaterThan(0);
  });

  test('stays in RAM as a whole when the bursts belong to sessions that go on, too', async () => {
    const ram = new RamTier(2600 * 64);
    const store = new TieredStore([ram]);
    const main = chain(MAIN_BLOCKS, 0, { payloadBytes: 64 });
    const keys = keysOf(main);
    store.put(main);
    for (let turn = 0; turn < NUM_TURNS; turn++) {
      (await store.lend(keys)).release();
      for (const [i, numBlocks] of AGENT_BLOCKS.entries()) {
        store.put(chain(numBlocks, 1_000_000 * (1 + turn * AGENT_BLOCKS.length + i), { payloadBytes: 64 }));
      }
      expect(keys.filter((key) => !ram.has(key)).length, `turn ${turn}`).toBe(0);
    }
    expect(ram.stats().evictedBlocks).toBeGreaterThan(0);
  });

  test('loses no pinned block, though nobody uses it for long', () => {
    const ram = new RamTier(2600 * 64);
    const store = new TieredStore([ram]);
    const main = chain(MAIN_BLOCKS, 0, { payloadBytes: 64 });
    store.pin(keysOf(main));
    store.put(main);
    for (let i = 1; i < 60; i++) store.put(chain(400, 1_000_000 * i, { payloadBytes: 64 }));
    expect(keysOf(main).every((key) => ram.has(key))).toBe(true);
  });
});
