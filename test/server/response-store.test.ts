/** What stored responses are promised: found again after a kill, bounded, private, erased for good. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openSeal } from '../../src/runtime/kv-storage.ts';
import {
  DEFAULT_RESPONSE_STORE,
  ResponseStore,
  type ResponseStoreOptions,
} from '../../src/server/responses/response-store.ts';
import { temporaryFolder } from '../support/firstlight.ts';
import { recordOf } from '../support/response-records.ts';

const DAY_MS = 24 * 3600 * 1000;

const open = async (options: Partial<ResponseStoreOptions> = {}) => {
  const warnings: string[] = [];
  const store = await ResponseStore.open({ ...DEFAULT_RESPONSE_STORE, ...options }, (warning) =>
    warnings.push(warning),
  );
  onTestFinished(() => store.close());
  return { store, warnings, mine: store.of('me') };
};

const filesIn = (directory: string): string[] => readdirSync(directory).map((name) => join(directory, name));

afterEach(() => {
  vi.useRealTimers();
});

describe.each(['disk', 'memory'])('in %s', (where) => {
  const openHere = (options: Partial<ResponseStoreOptions> = {}) =>
    open({ ...options, ...(where === 'disk' ? { directory: join(temporaryFolder(), 'responses') } : {}) });

  test('gives back what was kept, to its owner alone', async () => {
    const { store, mine } = await openHere();
    const record = recordOf('resp_1', { previousId: 'resp_0' });
    expect(await mine.keep(record, true)).toBe(true);
    expect(await mine.get('resp_1')).toEqual(record);
    for (const other of [store.of(''), store.of('you'), store.of('m')]) {
      expect(await other.get('resp_1')).toBeUndefined();
      expect(await other.erase('resp_1')).toBe(false);
    }
    expect(await mine.get('resp_1')).toEqual(record);
    expect(await mine.get('resp_2')).toBeUndefined();
    expect(await mine.erase('resp_1')).toBe(true);
    expect(await mine.get('resp_1')).toBeUndefined();
    expect(await mine.erase('resp_1')).toBe(false);
    expect(store.stats()).toEqual({ responses: 0, bytes: 0, failures: 0 });
  });

  test('keeps nothing of a response that is not to be stored', async () => {
    const { store, mine } = await openHere();
    expect(await mine.keep(recordOf('resp_1'), false)).toBe(false);
    expect(await mine.get('resp_1')).toBeUndefined();
    expect(store.stats()).toEqual({ responses: 0, bytes: 0, failures: 0 });
  });

  test('erases the longest unused first beyond its number, and what is used again last', async () => {
    const { store, mine } = await openHere({ maxResponses: 3 });
    for (const id of ['resp_1', 'resp_2', 'resp_3']) await mine.keep(recordOf(id), true);
    await mine.get('resp_1');
    await mine.keep(recordOf('resp_4'), true);
    expect(store.stats().responses).toBe(3);
    expect(await mine.get('resp_2')).toBeUndefined();
    for (const id of ['resp_1', 'resp_3', 'resp_4']) expect(await mine.get(id)).toEqual(recordOf(id));
  });

  test('stays within its bytes, and refuses what alone is larger', async () => {
    const { store, warnings, mine } = await openHere({ maxBytes: 10_000 });
    for (let i = 0; i < 50; i++) {
      expect(await mine.keep(recordOf(`resp_${i}`, { length: 1000 }), true)).toBe(true);
      expect(store.stats().bytes).toBeLessThanOrEqual(10_000);
    }
    expect(store.stats().responses).toBeGreaterThan(3);
    expect(await mine.keep(recordOf('resp_big', { length: 20_000 }), true)).toBe(false);
    expect(store.stats().failures).toBe(1);
    expect(warnings).toEqual([expect.stringMatching(/could not store a response: it takes \d+ bytes/)]);
    expect(await mine.get('resp_49')).toEqual(recordOf('resp_49', { length: 1000 }));
  });

  test('forgets what nobody has used for its time', async () => {
    vi.useFakeTimers({ now: Date.now(), toFake: ['Date', 'setInterval', 'clearInterval'] });
    const { store, mine } = await openHere({ ttlSeconds: 10 * 24 * 3600 });
    await mine.keep(recordOf('resp_1'), true);
    await mine.keep(recordOf('resp_2'), true);
    vi.setSystemTime(Date.now() + 9 * DAY_MS);
    expect(await mine.get('resp_2')).toEqual(recordOf('resp_2'));
    vi.setSystemTime(Date.now() + 2 * DAY_MS);
    expect(await mine.get('resp_1')).toBeUndefined();
    expect(await mine.get('resp_2')).toEqual(recordOf('resp_2'));
    vi.setSystemTime(Date.now() + 11 * DAY_MS);
    vi.advanceTimersByTime(3600 * 1000);
    await vi.waitUntil(() => store.stats().responses === 0);
  });

  test('shows a response that is being made, and tells of its end', async () => {
    const { store, mine } = await openHere();
    let isCancelled = false;
    const cancel = (): void => {
      isCancelled = true;
    };
    await mine.begin('resp_1', { record: () => recordOf('resp_1'), cancel }, false);
    expect(store.of('you').running('resp_1')).toBeUndefined();
    const running = mine.running('resp_1');
    expect(running?.record).toEqual(recordOf('resp_1'));
    const ended = running?.cancel();
    expect(isCancelled).toBe(true);
    await mine.keep(recordOf('resp_1'), false);
    const { response, ...record } = recordOf('resp_1');
    expect(await ended).toEqual({ ...record, response: { ...response, store: false } });
    expect(mine.running('resp_1')).toBeUndefined();
  });
});

describe('on disk', () => {
  test('is private, and finds everything after a restart', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const first = await open({ directory });
    for (let i = 0; i < 20; i++) await first.mine.keep(recordOf(`resp_${i}`), true);
    await first.mine.erase('resp_7');
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(new Set(filesIn(directory).map((file) => statSync(file).mode & 0o777))).toEqual(new Set([0o600]));
    const second = await open({ directory });
    expect(second.store.stats()).toEqual(first.store.stats());
    expect(await second.mine.get('resp_7')).toBeUndefined();
    expect(await second.mine.get('resp_8')).toEqual(recordOf('resp_8'));
    expect(second.warnings).toEqual([]);
  });

  test('has no byte of a response that was erased, nor its name or its owner’s', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const { mine } = await open({ directory, fsync: true });
    await mine.keep(recordOf('resp_1'), true);
    const [file = ''] = filesIn(directory);
    expect(file).not.toMatch(/resp_1|me\./);
    expect(readFileSync(file, 'utf8')).toContain('secret resp_1');
    await mine.erase('resp_1');
    expect(filesIn(directory)).toEqual([]);
  });

  test('erases what has outlived its time while the server was off', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const first = await open({ directory });
    await first.mine.keep(recordOf('resp_1'), true);
    const longAgo = new Date(Date.now() - 31 * DAY_MS);
    for (const file of filesIn(directory)) utimesSync(file, longAgo, longAgo);
    await first.mine.keep(recordOf('resp_2'), true);
    const second = await open({ directory });
    expect(second.store.stats().responses).toBe(1);
    expect(filesIn(directory)).toHaveLength(1);
  });

  test('passes over what is damaged, with a warning that says nothing of it', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const { mine, warnings } = await open({ directory });
    for (const damage of [
      (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
      (bytes: Buffer) => bytes.subarray(0, 10),
      (bytes: Buffer) => Buffer.from(bytes.map((byte, index) => (index === 60 ? byte ^ 1 : byte))),
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), Buffer.from([9]), bytes.subarray(5)]),
    ]) {
      await mine.keep(recordOf('resp_1'), true);
      const [file = ''] = filesIn(directory);
      writeFileSync(file, damage(readFileSync(file)));
      expect(await mine.get('resp_1')).toBeUndefined();
    }
    expect(warnings).toHaveLength(4);
    expect(warnings.join()).not.toContain('secret');
  });

  test('does not give one response, or one owner, for another', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const { store, mine } = await open({ directory });
    await mine.keep(recordOf('resp_1'), true);
    const [first = ''] = filesIn(directory);
    await store.of('you').keep(recordOf('resp_1'), true);
    const second = filesIn(directory).find((file) => file !== first) ?? '';
    writeFileSync(second, readFileSync(first));
    expect(await store.of('you').get('resp_1')).toBeUndefined();
  });

  test('is unreadable without the key that it was written with', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const keyFile = (byte: number): string => {
      const path = join(temporaryFolder(), 'key');
      writeFileSync(path, Buffer.alloc(32, byte));
      return path;
    };
    const seal = openSeal(keyFile(1), 'response');
    const { mine } = await open({ directory, seal });
    await mine.keep(recordOf('resp_1'), true);
    expect(await mine.get('resp_1')).toEqual(recordOf('resp_1'));
    expect(
      filesIn(directory)
        .map((file) => readFileSync(file, 'latin1'))
        .join(),
    ).not.toContain('secret');
    for (const other of [undefined, openSeal(keyFile(2), 'response')]) {
      const { mine: theirs, warnings } = await open({ directory, ...(other ? { seal: other } : {}) });
      expect(await theirs.get('resp_1')).toBeUndefined();
      expect(warnings).toHaveLength(1);
    }
  });

  test('says that it kept nothing when the disk takes nothing, and leaves no half file', async () => {
    const folder = temporaryFolder();
    // Where a folder should be there is a file: every call fails, for root as well.
    const directory = join(folder, 'responses');
    writeFileSync(directory, '');
    const { store, mine, warnings } = await open({ directory });
    expect(await mine.keep(recordOf('resp_1'), true)).toBe(false);
    expect(await mine.get('resp_1')).toBeUndefined();
    expect(store.stats()).toEqual({ responses: 0, bytes: 0, failures: 1 });
    expect(warnings.length).toBeGreaterThanOrEqual(2);
    expect(readdirSync(folder)).toEqual(['responses']);
  });

  test('shares its folder with another server', async () => {
    const directory = join(temporaryFolder(), 'responses');
    const first = await open({ directory });
    const second = await open({ directory });
    await first.mine.keep(recordOf('resp_1'), true);
    expect(await second.mine.get('resp_1')).toEqual(recordOf('resp_1'));
    expect(await second.mine.erase('resp_1')).toBe(true);
    expect(await first.mine.get('resp_1')).toBeUndefined();
    expect(first.store.stats().responses).toBe(0);
  });
});

const NUM_ROUNDS = Number(process.env.FIRSTLIGHT_KILL_ROUNDS ?? 5);
const LONGEST_MS = 300;
const ROUND_MS = 20_000;

/** Kills the writer at a random moment after it has opened the folder. @returns the lines that it wrote */
const writeUntilKilled = (directory: string, round: number): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', 'test/support/response-writer.ts', directory, String(round)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      if (text === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * LONGEST_MS);
      text += part;
    });
    child.on('error', reject);
    // The last line may be cut off.
    child.on('close', () => resolve(text.split('\n').slice(1, -1)));
  });

test(
  'a process killed at any moment loses no response that it knew to be stored, and leaves none half',
  async () => {
    const directory = join(temporaryFolder(), 'responses');
    let numStored = 0;
    for (let round = 0; round < NUM_ROUNDS; round++) {
      const ids = await writeUntilKilled(directory, round);
      numStored += ids.length;
      const { mine, warnings } = await open({ directory });
      const erased = ids.filter((id) => /^resp_\d+_\d*8_0$/.test(id));
      const records = await Promise.all(ids.map((id) => mine.get(id)));
      const lost = ids.filter((id, index) => {
        const record = records[index];
        if (record === undefined) return !erased.includes(id);
        return JSON.stringify(record) !== JSON.stringify(recordOf(id, { previousId: record.previousId, length: 4000 }));
      });
      expect(lost, `round ${round}`).toEqual([]);
      expect(warnings).toEqual([]);
    }
    expect(numStored).toBeGreaterThan(0);
  },
  NUM_ROUNDS * ROUND_MS,
);
