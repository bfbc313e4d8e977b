import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EngineError } from '../../../../src/runtime/errors.ts';
import { readEncryptionKey } from '../../../../src/runtime/kv/tiers/cipher.ts';
import { DiskTier, type DiskTierOptions } from '../../../../src/runtime/kv/tiers/disk.ts';
import type { FileSystem } from '../../../../src/runtime/kv/tiers/file-system.ts';
import { Payload } from '../../../../src/runtime/kv/tiers/payload.ts';
import { SegmentStore } from '../../../../src/runtime/kv/tiers/segment-store.ts';
import type { StoredBlock, TierWarning } from '../../../../src/runtime/kv/tiers/tier.ts';
import { chain, keysOf, payloadOf } from '../../../support/kv-blocks.ts';

let directory: string;
let warnings: TierWarning[];
let opened: DiskTier[];

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'firstlight-disk-'));
  warnings = [];
  opened = [];
});

afterEach(async () => {
  for (const tier of opened) await tier.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** In this thread, over these file functions: a thread cannot be given any. */
const open = async (options: Partial<DiskTierOptions> = {}, faulty: Partial<FileSystem> = {}): Promise<DiskTier> => {
  const all: DiskTierOptions = {
    directory,
    maxBytes: 10_000_000,
    modelFingerprint: 'model',
    kvFormat: 'f16',
    fsync: 'never',
    onWarning: (warning) => warnings.push(warning),
    ...options,
  };
  const tier = await DiskTier.open(all, new SegmentStore(all, { ...fs, ...faulty }));
  opened.push(tier);
  return tier;
};

const put = (tier: DiskTier, blocks: readonly StoredBlock[]): void =>
  tier.put(blocks.map((block) => ({ ...block, payload: new Payload(block.payload) })));

const save = async (blocks: readonly StoredBlock[], options: Partial<DiskTierOptions> = {}): Promise<void> => {
  const tier = await open(options);
  put(tier, blocks);
  await tier.close();
};

/** Which blocks come back right; throws when one comes back wrong. */
const readable = async (tier: DiskTier, blocks: readonly StoredBlock[], numBytes = 1024): Promise<boolean[]> => {
  const { payloads, release } = await tier.lend(keysOf(blocks));
  const found = payloads.map((payload, i) => {
    if (payload) expect(Buffer.from(payload).equals(payloadOf(blocks[i]!.key, numBytes))).toBe(true);
    return payload !== undefined;
  });
  release();
  return found;
};

const files = (): string[] =>
  fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.kv'))
    .map((name) => join(directory, name));

const damage = (path: string, at: (numBytes: number) => number): void => {
  const bytes = fs.readFileSync(path);
  bytes[at(bytes.length)]! ^= 1;
  fs.writeFileSync(path, bytes);
};

const all = (blocks: readonly unknown[], value: boolean): boolean[] => blocks.map(() => value);
const faultsOf = (): string[] => warnings.map(({ fault }) => fault);
const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

describe('disk tier', () => {
  test.each(['always', 'interval', 'never'] as const)(
    'gives back after a restart what it was given, fsync %s',
    async (fsync) => {
      const blocks = [...chain(700, 0), ...chain(3, 90_000)];
      await save(blocks, { fsync });
      const tier = await open({ fsync });
      expect(await readable(tier, blocks)).toEqual(all(blocks, true));
      expect([...tier.childrenOf(blocks[4]!.key)]).toEqual([[blocks[5]!.key, blocks[5]!.tokenIds]]);
      expect(warnings).toEqual([]);
    },
  );

  test('says what comes next after a block while that waits to be written, or is being', async () => {
    const tier = await open();
    const blocks = chain(3, 0);
    const next = [[blocks[1]!.key, blocks[1]!.tokenIds]];
    put(tier, blocks);
    expect([...tier.childrenOf(blocks[0]!.key)]).toEqual(next);
    const flushing = tier.flush();
    expect([...tier.childrenOf(blocks[0]!.key)]).toEqual(next);
    await flushing;
    expect([...tier.childrenOf(blocks[0]!.key)]).toEqual(next);
    tier.delete(keysOf(blocks));
    expect([...tier.childrenOf(blocks[0]!.key)]).toEqual([]);
  });

  test('has a block as soon as it is put, and has it saved after a flush', async () => {
    const tier = await open();
    const blocks = chain(3, 0);
    put(tier, blocks);
    expect([tier.has(blocks[2]!.key), tier.isSaved(blocks[2]!.key)]).toEqual([true, false]);
    expect(await readable(tier, blocks)).toEqual(all(blocks, true));
    await tier.flush();
    expect(tier.isSaved(blocks[2]!.key)).toBe(true);
  });

  test('writes what follows each other into one file, and other chains into others', async () => {
    await save([...chain(40, 0), ...chain(40, 5000)]);
    expect(files().length).toBe(2);
  });

  test('keeps its files from other users', async () => {
    await save(chain(1, 0));
    const [file] = files();
    expect(fs.statSync(file!).mode & 0o777).toBe(0o600);
    expect(fs.statSync(join(file!, '..')).mode & 0o777).toBe(0o700);
  });

  test('removes whole files to make room, the tail of a chain before its head', async () => {
    const tier = await open({ maxBytes: 400_000 });
    const chains = [0, 1, 2].map((i) => chain(768, i * 100_000, { payloadBytes: 64 }));
    for (const blocks of chains) {
      put(tier, blocks);
      await tier.flush();
    }
    const { bytes, maxBytes, evictedBlocks } = tier.stats();
    expect(bytes).toBeLessThanOrEqual(maxBytes);
    expect(evictedBlocks).toBeGreaterThan(0);
    for (const blocks of chains) {
      const has = blocks.map(({ key }) => tier.has(key));
      expect(has).toEqual(has.toSorted((a, b) => Number(b) - Number(a)));
    }
    expect(files().reduce((sum, file) => sum + fs.statSync(file).size, 0)).toBe(bytes);
  });

  test('evicts pinned blocks only for pinned ones, and says so', async () => {
    const tier = await open({ maxBytes: 60_000 });
    const [pinned, other, pinnedToo] = [chain(30, 0), chain(30, 5000), chain(30, 9000)];
    tier.pin(keysOf(pinned), 1);
    put(tier, pinned);
    await tier.flush();
    put(tier, other);
    await tier.flush();
    expect(await readable(tier, pinned)).toEqual(all(pinned, true));
    expect(tier.has(other[0]!.key)).toBe(false);
    expect(tier.stats().droppedBlocks).toBe(30);
    expect(faultsOf()).toContain('pins_exceed_limit');
    tier.pin(keysOf(pinnedToo), 1);
    put(tier, pinnedToo);
    await tier.flush();
    expect(await readable(tier, pinnedToo)).toEqual(all(pinnedToo, true));
  });

  test('drops the oldest unpinned blocks when more wait to be written than it may hold', async () => {
    const tier = await open({ maxQueuedBytes: 10 * 1024 });
    const blocks = chain(15, 0);
    tier.pin([blocks[0]!.key], 1);
    put(tier, blocks);
    const kept = blocks.map((_, i) => i === 0 || i > 5);
    expect(await readable(tier, blocks)).toEqual(kept);
    expect(tier.stats()).toMatchObject({ droppedBlocks: 5, queuedBytes: 10 * 1024 });
    expect(faultsOf()).toEqual(['dropped']);
  });

  test('trims what it finds to a smaller limit', async () => {
    for (let i = 0; i < 5; i++) await save(chain(10, i * 1000));
    const tier = await open({ maxBytes: 25_000 });
    expect(tier.stats().bytes).toBeLessThanOrEqual(25_000);
    expect(tier.stats().blocks).toBe(20);
  });
});

describe('compaction', () => {
  const saveApart = async (tier: DiskTier, numChains: number): Promise<StoredBlock[]> => {
    const chains = Array.from({ length: numChains }, (_, i) => chain(3, i * 1000));
    for (const blocks of chains) {
      put(tier, blocks);
      await tier.flush();
    }
    return chains.flat();
  };
  const bytesOnDisk = (): number => files().reduce((sum, file) => sum + fs.statSync(file).size, 0);

  test.each([
    ['plain', undefined],
    ['encrypted', randomBytes(32)],
  ])('makes few files of many small ones, and loses nothing, %s', async (_, encryptionKey) => {
    const options = encryptionKey ? { encryptionKey } : {};
    const tier = await open(options);
    const blocks = await saveApart(tier, 100);
    expect(files().length).toBe(100);
    tier.pin([blocks[0]!.key], 1);
    await tier.compact();
    expect(files().length).toBeLessThan(64);
    expect(await readable(tier, blocks)).toEqual(all(blocks, true));
    expect(tier.stats()).toMatchObject({ blocks: 300, bytes: bytesOnDisk(), evictedBlocks: 0 });
    await tier.close();
    const again = await open(options);
    expect(await readable(again, blocks)).toEqual(all(blocks, true));
    expect([...again.childrenOf(blocks[4]!.key)].map(([key]) => key)).toEqual([blocks[5]!.key]);
    expect(warnings).toEqual([]);
  });

  test.each([{ modelFingerprint: 'another' }, { kvFormat: 'f32' }])('leaves alone what is of %o', async (other) => {
    const before = await open(other);
    const others = await saveApart(before, 70);
    await before.close();
    const tier = await open();
    const blocks = Array.from({ length: 70 }, (_, i) => chain(3, 500_000 + i * 1000));
    for (const own of blocks) {
      put(tier, own);
      await tier.flush();
    }
    await tier.compact();
    expect(files().length).toBeLessThan(140);
    expect(await readable(tier, blocks.flat())).toEqual(all(blocks.flat(), true));
    await tier.close();
    expect(await readable(await open(other), others)).toEqual(all(others, true));
    expect(warnings).toEqual([]);
  });

  test('gives the room back that blocks took which are no more, and does not do it twice', async () => {
    const tier = await open({ maxBytes: 1_000_000 });
    const blocks = chain(200, 0);
    put(tier, blocks);
    await tier.flush();
    tier.delete(keysOf(blocks.slice(50)));
    await tier.compact();
    expect(bytesOnDisk()).toBeLessThan(80_000);
    expect(tier.stats().bytes).toBe(bytesOnDisk());
    const [file] = files();
    await tier.compact();
    expect(files()).toEqual([file]);
    expect(await readable(tier, blocks)).toEqual(blocks.map((_, i) => i < 50));
  });

  test('brings nothing back that is removed meanwhile, and keeps what is damaged from spreading', async () => {
    const tier = await open();
    const blocks = await saveApart(tier, 70);
    damage(files()[5]!, (numBytes) => numBytes - 1);
    const compacting = tier.compact();
    tier.delete([blocks[2]!.key]);
    await compacting;
    expect((await readable(tier, blocks)).filter((isThere) => !isThere).length).toBe(2);
    expect(tier.has(blocks[2]!.key)).toBe(false);
    expect(faultsOf()).toEqual(['corrupt']);
    expect(tier.stats().corruptBlocks).toBe(1);
  });

  test('that fails leaves everything as it was', async () => {
    let isFull = false;
    const writevSync = ((fd: number, buffers: Uint8Array[]) => {
      if (isFull) throw systemError('ENOSPC');
      return fs.writevSync(fd, buffers);
    }) as FileSystem['writevSync'];
    const tier = await open({}, { writevSync });
    const blocks = await saveApart(tier, 70);
    isFull = true;
    await tier.compact();
    expect(files().length).toBe(70);
    expect(await readable(tier, blocks)).toEqual(all(blocks, true));
    expect(faultsOf()).toEqual(['write_failed']);
  });

  test('cut off between the new file and the removal of the old ones costs nothing', async () => {
    const unlinkSync = (() => {
      throw systemError('EIO');
    }) as FileSystem['unlinkSync'];
    const tier = await open({}, { unlinkSync });
    const blocks = await saveApart(tier, 70);
    await tier.compact();
    expect(files().length).toBeGreaterThan(70);
    fs.cpSync(join(directory, 'writer-0'), join(directory, 'copy', 'writer-0'), { recursive: true });
    fs.rmSync(join(directory, 'copy', 'writer-0', 'lock'));
    const copy = await open({ directory: join(directory, 'copy') });
    expect(await readable(copy, blocks)).toEqual(all(blocks, true));
    expect(fs.readdirSync(join(directory, 'copy', 'writer-0')).length).toBeLessThan(64);
  });
});

describe('faults on disk', () => {
  test('a flipped bit in a payload costs that block alone', async () => {
    const blocks = chain(10, 0);
    await save(blocks);
    damage(files()[0]!, (numBytes) => numBytes - 1500);
    const tier = await open();
    const expected = blocks.map((_, i) => i !== 8);
    expect(await readable(tier, blocks)).toEqual(expected);
    expect(blocks.map(({ key }) => tier.has(key))).toEqual(expected);
    expect(tier.stats().corruptBlocks).toBe(1);
    expect(faultsOf()).toEqual(['corrupt']);
  });

  test('every single flipped bit in a header is noticed, and the file removed', async () => {
    const blocks = chain(2, 0);
    await save(blocks);
    const [file] = files();
    const good = fs.readFileSync(file!);
    const headerBytes = good.length - 2 * 1024;
    for (let at = 0; at < headerBytes; at += 7) {
      fs.writeFileSync(file!, good);
      damage(file!, () => at);
      const tier = await open();
      expect(await readable(tier, blocks), `byte ${at}`).toEqual([false, false]);
      await tier.close();
    }
  });

  test('a file that is damaged while the server runs is absent too', async () => {
    const tier = await open();
    const blocks = chain(4, 0);
    put(tier, blocks);
    await tier.flush();
    damage(files()[0]!, () => 40);
    expect(await readable(tier, blocks)).toEqual(all(blocks, false));
    expect(blocks.some(({ key }) => tier.has(key))).toBe(false);
    expect(faultsOf()).toEqual(['corrupt']);
  });

  test('a file cut short anywhere costs what is cut off', async () => {
    const blocks = chain(5, 0);
    await save(blocks);
    const [file] = files();
    const good = fs.readFileSync(file!);
    for (const length of [0, 10, 31, 32, 200, good.length - 5 * 1024, good.length - 2 * 1024, good.length - 1]) {
      fs.writeFileSync(file!, good.subarray(0, length));
      const tier = await open();
      const numWhole = Math.max(0, Math.floor((length - (good.length - 5 * 1024)) / 1024));
      const isHeaderWhole = length >= good.length - 5 * 1024;
      expect(await readable(tier, blocks), `${length} bytes`).toEqual(
        blocks.map((_, i) => isHeaderWhole && i < numWhole),
      );
      expect(tier.stats().corruptBlocks).toBeGreaterThan(0);
      await tier.close();
    }
  });

  test('a damaged block is written anew, and that copy counts', async () => {
    const blocks = chain(3, 0);
    await save(blocks);
    damage(files()[0]!, (numBytes) => numBytes - 1);
    const tier = await open();
    await readable(tier, blocks);
    put(tier, chain(3, 0));
    await tier.close();
    expect(await readable(await open(), blocks)).toEqual(all(blocks, true));
  });

  test('a full disk loses blocks, not the server', async () => {
    let isFull = true;
    const writevSync = ((fd: number, buffers: Uint8Array[]) => {
      if (isFull) throw systemError('ENOSPC');
      return fs.writevSync(fd, buffers);
    }) as FileSystem['writevSync'];
    const tier = await open({}, { writevSync });
    const [lost, kept] = [chain(3, 0), chain(3, 5000)];
    put(tier, lost);
    await tier.flush();
    expect(lost.some(({ key }) => tier.has(key))).toBe(false);
    expect(tier.stats().failedBlocks).toBe(3);
    expect(faultsOf()).toEqual(['write_failed']);
    expect(fs.readdirSync(join(directory, 'writer-0'))).toEqual(['lock']);
    isFull = false;
    put(tier, kept);
    await tier.flush();
    expect(await readable(tier, kept)).toEqual(all(kept, true));
  });

  test('short writes and reads of the system are completed', async () => {
    const one = <Result>(call: (fd: number, buffers: Uint8Array[], position?: number) => Result) =>
      ((fd: number, buffers: Uint8Array[], position?: number) =>
        call(fd, [buffers[0]!.subarray(0, 700)], position)) as unknown;
    const writevSync = one((fd, buffers) => fs.writevSync(fd, buffers)) as FileSystem['writevSync'];
    const readvSync = one((fd, buffers, at) => fs.readvSync(fd, buffers, at)) as FileSystem['readvSync'];
    const tier = await open({}, { writevSync, readvSync });
    const blocks = chain(5, 0);
    put(tier, blocks);
    await tier.flush();
    expect(await readable(tier, blocks)).toEqual(all(blocks, true));
  });

  test.each(['openSync', 'renameSync'] as const)(
    'a directory that cannot be written to is still read, %s',
    async (name) => {
      const blocks = chain(3, 0);
      await save(blocks);
      const refuse = (...args: unknown[]): unknown => {
        if (name === 'openSync' && args[1] === 'r') return fs.openSync(args[0] as string, 'r');
        throw systemError('EROFS');
      };
      const tier = await open({}, { [name]: refuse });
      expect(await readable(tier, blocks)).toEqual(all(blocks, true));
      put(tier, chain(2, 5000));
      await tier.flush();
      expect(tier.stats().failedBlocks).toBe(2);
      expect(faultsOf()).toEqual(['write_failed']);
    },
  );

  test('a directory that cannot even be locked is still read', async () => {
    const blocks = chain(3, 0);
    await save(blocks);
    const refuse = () => {
      throw systemError('EROFS');
    };
    const tier = await open(
      {},
      { mkdirSync: ((path: string) => (fs.existsSync(path) ? undefined : refuse())) as never, writeFileSync: refuse },
    );
    expect(await readable(tier, blocks)).toEqual(all(blocks, true));
    expect(faultsOf()).toContain('shared');
  });

  test('a path that is no directory makes a tier that keeps nothing', async () => {
    const path = join(directory, 'file');
    fs.writeFileSync(path, '');
    const tier = await open({ directory: path });
    const blocks = chain(2, 0);
    put(tier, blocks);
    await tier.flush();
    expect(await readable(tier, blocks)).toEqual([false, false]);
    expect(faultsOf()).toEqual(['write_failed']);
  });

  test('a directory deleted under a running server is made anew', async () => {
    const tier = await open();
    const [old, young] = [chain(3, 0), chain(3, 5000)];
    put(tier, old);
    await tier.flush();
    fs.rmSync(directory, { recursive: true });
    expect(await readable(tier, old)).toEqual(all(old, false));
    expect(tier.stats()).toMatchObject({ bytes: 0, blocks: 0 });
    put(tier, young);
    await tier.flush();
    expect(await readable(tier, young)).toEqual(all(young, true));
    expect(faultsOf()).toEqual(['vanished']);
  });

  test('a clock set back changes nothing: the newer copy of a block is known by a counter', async () => {
    const blocks = chain(2, 0);
    await save(blocks);
    await save(chain(2, 5000));
    for (const file of files()) fs.utimesSync(file, new Date(4e12), new Date(4e12));
    await save(chain(2, 9000));
    const names = files()
      .map((file) => file.split('/').at(-1)!)
      .sort();
    expect(names.map((name) => Number.parseInt(name, 16))).toEqual([1, 2, 3]);
    expect(await readable(await open(), blocks)).toEqual(all(blocks, true));
  });
});

describe('the thread of the files', () => {
  /** Threads that something was posted to. */
  const watchThreads = (): Set<Worker> => {
    const threads = new Set<Worker>();
    const { postMessage } = Worker.prototype;
    vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(function (this: Worker, ...args) {
      threads.add(this);
      return postMessage.apply(this, args);
    });
    return threads;
  };
  const openThread = async (): Promise<DiskTier> => {
    const owner = { directory, modelFingerprint: 'model', kvFormat: 'f16', fsync: 'interval' as const };
    const tier = await DiskTier.open({
      ...owner,
      maxBytes: 10_000_000,
      onWarning: (warning) => warnings.push(warning),
    });
    opened.push(tier);
    return tier;
  };
  afterEach(() => vi.restoreAllMocks());

  test('may die at any time: what it did is lost, what is on disk is not, and another takes its place', async () => {
    const threads = watchThreads();
    const kill = (): Promise<unknown> => Promise.all([...threads].map((thread) => thread.terminate()));
    const tier = await openThread();
    const [saved, written, later] = [chain(30, 0), chain(30, 5000), chain(30, 9000)];
    put(tier, saved);
    await tier.flush();
    const reading = tier.lend(keysOf(saved));
    await kill();
    const { payloads, release } = await reading;
    for (const [i, payload] of payloads.entries())
      if (payload) expect(Buffer.from(payload).equals(payloadOf(saved[i]!.key, 1024))).toBe(true);
    release();
    expect(await readable(tier, saved)).toEqual(all(saved, true));
    put(tier, written);
    const flushing = tier.flush();
    await kill();
    await flushing;
    put(tier, later);
    await tier.flush();
    expect(await readable(tier, later)).toEqual(all(later, true));
    const { threadDeaths, failedBlocks } = tier.stats();
    expect(threadDeaths).toBe(2);
    expect([0, 30]).toContain(failedBlocks);
    expect(faultsOf()).toContain('thread_died');
    await tier.close();
    expect(fs.readdirSync(directory)).toEqual(['writer-0']);
    const numWarnings = warnings.length;
    expect(await readable(await open(), [...saved, ...later])).toEqual(all([...saved, ...later], true));
    expect(warnings.length).toBe(numWarnings);
  });

  test('gives nothing once the tier is closed, and leaves nobody waiting', async () => {
    const tier = await openThread();
    const blocks = chain(3, 0);
    put(tier, blocks);
    await tier.close();
    expect(await readable(tier, blocks)).toEqual(all(blocks, false));
    expect(tier.stats().threadDeaths).toBe(0);
  });

  test('is let alone once several have died one after another, and requests go on without it', async () => {
    const threads = watchThreads();
    const tier = await openThread();
    const blocks = chain(3, 0);
    put(tier, blocks);
    await tier.flush();
    for (let death = 0; death < 8; death++) {
      await Promise.all([...threads].map((thread) => thread.terminate()));
      await readable(tier, blocks);
    }
    expect(await readable(tier, blocks)).toEqual(all(blocks, false));
    expect(tier.stats()).toMatchObject({ threadDeaths: 6, blocks: 3 });
  });
});

describe('two servers on one directory', () => {
  test('write to folders of their own, and the second reads what the first had saved', async () => {
    const blocks = chain(3, 0);
    await save(blocks);
    const first = await open();
    const second = await open();
    expect(faultsOf()).toEqual(['shared']);
    expect(await readable(second, blocks)).toEqual(all(blocks, true));
    const [a, b] = [chain(2, 5000), chain(2, 9000)];
    put(first, a);
    put(second, b);
    await Promise.all([first.close(), second.close()]);
    const third = await open();
    expect(await readable(third, [...blocks, ...a, ...b])).toEqual(all([...blocks, ...a, ...b], true));
    expect(faultsOf()).toEqual(['shared']);
  });

  test('the second misses blocks that the first evicts, and no more', async () => {
    const blocks = chain(3, 0);
    await save(blocks);
    const first = await open();
    const second = await open();
    first.delete(keysOf(blocks));
    await first.flush();
    expect(await readable(second, blocks)).toEqual(all(blocks, false));
    expect(faultsOf()).toContain('vanished');
  });

  test('the lock of a process that is gone, or half a lock, is taken over', async () => {
    await save(chain(3, 0));
    const lock = join(directory, 'writer-0', 'lock');
    fs.writeFileSync(lock, JSON.stringify({ pid: process.pid, startedAt: '1', host: 'elsewhere' }));
    fs.utimesSync(lock, 1, 1);
    await (await open()).close();
    fs.writeFileSync(lock, '{"pid"');
    fs.utimesSync(lock, 1, 1);
    await (await open()).close();
    expect(fs.readdirSync(directory)).toEqual(['writer-0']);
  });
});

describe('encryption at rest', () => {
  const encryptionKey = randomBytes(32);

  test('hides tokens and payloads, and gives them back', async () => {
    const tokens = Uint32Array.from({ length: 16 }, (_, i) => 0x61626364 + i);
    const block = { ...chain(1, 0)[0]!, tokenIds: tokens, payload: new Uint8Array(1024).fill(0x5a) };
    await save([block], { encryptionKey });
    const bytes = fs.readFileSync(files()[0]!);
    expect(bytes.includes(Buffer.from(tokens.slice(0, 1).buffer))).toBe(false);
    expect(bytes.includes('ZZZZ')).toBe(false);
    expect(bytes.includes(block.key)).toBe(false);
    const tier = await open({ encryptionKey });
    expect([...tier.childrenOf(block.parent!)]).toEqual([[block.key, tokens]]);
    const { payloads } = await tier.lend([block.key]);
    expect(Buffer.from(payloads[0]!).equals(Buffer.alloc(1024, 0x5a))).toBe(true);
  });

  test.each([
    ['another key', randomBytes(32)],
    ['no key', undefined],
  ])('with %s nothing is found, one warning says so, and nothing is removed', async (_, other) => {
    const blocks = chain(3, 0);
    await save(blocks, { encryptionKey });
    const tier = await open(other ? { encryptionKey: other } : {});
    expect(await readable(tier, blocks)).toEqual(all(blocks, false));
    expect(tier.stats().sealedBytes).toBeGreaterThan(3 * 1024);
    await tier.close();
    expect(faultsOf()).toEqual(['sealed']);
    expect(await readable(await open({ encryptionKey }), blocks)).toEqual(all(blocks, true));
  });

  test('a flipped bit costs one block', async () => {
    const blocks = chain(3, 0);
    await save(blocks, { encryptionKey });
    damage(files()[0]!, (numBytes) => numBytes - 1);
    const tier = await open({ encryptionKey });
    expect(await readable(tier, blocks)).toEqual([true, true, false]);
    expect(faultsOf()).toEqual(['corrupt']);
  });

  test('takes a key of 32 bytes or 64 hex digits from its file, and refuses others with a remedy', () => {
    const path = join(directory, 'key');
    fs.writeFileSync(path, encryptionKey);
    expect(readEncryptionKey(path).equals(encryptionKey)).toBe(true);
    fs.writeFileSync(path, `${encryptionKey.toString('hex')}\n`);
    expect(readEncryptionKey(path).equals(encryptionKey)).toBe(true);
    fs.writeFileSync(path, 'short');
    for (const [file, found] of [
      [path, '5 bytes'],
      [`${path}-none`, 'ENOENT'],
    ] as const) {
      try {
        readEncryptionKey(file);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(EngineError);
        expect((error as EngineError).code).toBe('config_invalid');
        for (const part of [file, found, '/dev/urandom']) expect((error as EngineError).message).toContain(part);
      }
    }
  });
});
