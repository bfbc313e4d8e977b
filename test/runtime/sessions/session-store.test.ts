/** Sessions on disk: private, whole or not at all, and there again after the process. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Seal } from '../../../src/runtime/sessions/session-file.ts';
import { SessionStore } from '../../../src/runtime/sessions/session-store.ts';
import { temporaryFolder } from '../../support/firstlight.ts';
import { IDENTITY, joined, run, testSessions } from '../../support/sessions.ts';
import { until } from '../../support/until.ts';

const PAGE = { limit: 100 };

const newStore = (directory: string, more: { seal?: Seal; fsync?: boolean } = {}) => {
  const warnings: string[] = [];
  const store = new SessionStore({ directory, fsync: false, onWarning: (text) => warnings.push(text), ...more });
  return { store, warnings };
};

/** A process that begins with what an earlier one left. */
const start = async (
  directory: string,
  more: Parameters<typeof newStore>[1] & Parameters<typeof testSessions>[0] = {},
) => {
  const { seal, fsync, ...parts } = more;
  const { store, warnings } = newStore(directory, {
    ...(seal ? { seal } : {}),
    ...(fsync === undefined ? {} : { fsync }),
  });
  const stored = await store.load();
  return { ...testSessions({ ...parts, store, stored }), store, warnings };
};

const keyed = (key: Uint8Array): Seal => ({
  seal(plain) {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  },
  open(sealed) {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
    decipher.setAuthTag(Buffer.from(sealed.subarray(12, 28)));
    return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
  },
});

describe('a session on disk', () => {
  test('is there after a restart with its tokens, counts, misses, pins and parent', async () => {
    const directory = join(temporaryFolder(), 'sessions');
    const before = await start(directory, { fsync: true });
    before.exchange({ session: 's' }, run(0, 20), run(100, 4));
    await before.sessions.fork('ann', 's', { id: 'sub', isPinned: true, ttlSeconds: 77 });
    expect((await before.sessions.get('ann', 's')).savedTokens).toBe(0);
    expect(await before.sessions.save('ann', 's')).toMatchObject({ tokens: 24, savedTokens: 24 });
    await before.sessions.save('ann', 'sub');
    const listed = await before.sessions.list('ann', PAGE);
    const details = await before.sessions.get('ann', 's');

    before.chains.live.clear();
    const after = await start(directory, { chains: before.chains });
    expect(await after.sessions.list('ann', PAGE)).toEqual(listed);
    expect(await after.sessions.get('ann', 's')).toEqual(details);
    expect(after.chains.pinned).toHaveLength(2);
    await until(() => after.chains.live.get(joined(run(0, 20), run(100, 4)).join()) === true);
    const next = joined(run(0, 20), run(100, 4), run(200, 8));
    expect(after.exchange({ session: 's' }, next, run(300, 4)).reason).toBe('none');
    expect(after.warnings).toEqual([]);
  });

  test('has its KV pinned after a restart as long as a mark said, and no longer', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    before.exchange({ session: 's', pinSeconds: 300 }, run(0, 20), run(100, 4));
    before.exchange({ session: 'unmarked' }, run(500, 20), run(100, 4));
    const { pinnedUntil } = await before.sessions.get('ann', 's');
    await before.sessions.close();
    const after = await start(directory);
    expect(after.chains.pinned).toEqual([joined(run(0, 20), run(100, 4))]);
    expect(await after.sessions.get('ann', 's')).toMatchObject({ pinnedUntil, isPinned: false });
    after.clock.now += 301_000;
    await after.sessions.list('ann', PAGE);
    expect(after.chains.pinned).toEqual([]);
  });

  test('is written without being asked, soon after the answer', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    for (let turn = 1; turn <= 20; turn++) before.exchange({ session: 's' }, run(0, 20 * turn), run(5000, 4));
    await before.sessions.close();
    expect((await start(directory)).store).toBeDefined();
    expect((await (await start(directory)).sessions.get('ann', 's')).tokens).toBe(404);
  });

  test('is gone for good when it is deleted', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    before.exchange({ session: 's' }, run(0, 20), run(100, 4));
    await before.sessions.delete('ann', 's');
    await before.sessions.close();
    expect(await readdir(directory)).toEqual([]);
  });

  test('that is deleted and made anew at once is the new one', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    before.exchange({ session: 's' }, run(0, 20), run(100, 4));
    for (const length of [30, 40, 50]) {
      const deleted = before.sessions.delete('ann', 's');
      before.exchange({ session: 's' }, run(0, length), run(100, 4));
      if (length !== 40) await deleted;
    }
    await before.sessions.close();
    expect((await (await start(directory)).sessions.get('ann', 's')).tokens).toBe(54);
  });

  test('of another model is kept, and named as the cause of the miss', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    before.exchange({ session: 's' }, run(0, 40), run(100, 4));
    await before.sessions.close();
    const other = { ...IDENTITY, kvFormat: 'q8' };
    const after = await start(directory, { identity: other });
    expect(await after.sessions.get('ann', 's')).toMatchObject({ tokens: 44, savedTokens: 0 });
    const next = joined(run(0, 40), run(100, 4), run(200, 8));
    expect(after.exchange({ session: 's' }, next, run(300, 4), { id: 'r' }).reason).toBe('changed');
    expect(await after.sessions.requestCache('ann', 'r')).toMatchObject({ cause: 'other_kv_format' });
    expect(after.exchange({ session: 's' }, joined(next, run(300, 9)), run(400, 4)).reason).toBe('none');
  });

  test.skipIf(process.platform === 'win32')('is readable by its user alone, its name by nobody', async () => {
    const directory = join(temporaryFolder(), 'a', 'sessions');
    const { sessions, exchange } = await start(directory);
    exchange({ session: 'secret-name' }, run(0, 20), run(100, 4));
    await sessions.close();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const [name, ...others] = await readdir(directory);
    expect(others).toEqual([]);
    expect(name).toMatch(/^[0-9a-f]{40}\.session$/);
    expect((await stat(join(directory, name!))).mode & 0o777).toBe(0o600);
  });

  test('is sealed where there is a key, and left alone by a server with another', async () => {
    const directory = temporaryFolder();
    const seal = keyed(Buffer.alloc(32, 7));
    const before = await start(directory, { seal });
    before.exchange({ session: 'secret-name' }, run(0, 20), run(100, 4));
    await before.sessions.close();
    const [name] = await readdir(directory);
    expect((await readFile(join(directory, name!))).includes('secret-name')).toBe(false);
    for (const other of [{}, { seal: keyed(Buffer.alloc(32, 8)) }]) {
      const { sessions, warnings } = await start(directory, other);
      expect(await sessions.list('ann', PAGE)).toEqual([]);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).not.toContain('secret-name');
    }
    expect(await (await start(directory, { seal })).sessions.list('ann', PAGE)).toHaveLength(1);
  });
});

describe('a directory in a bad way', () => {
  test('costs the damaged sessions, never the start', async () => {
    const directory = temporaryFolder();
    const before = await start(directory);
    before.exchange({ session: 'a' }, run(0, 20), run(100, 4));
    await before.sessions.close();
    const [name] = await readdir(directory);
    const bytes = await readFile(join(directory, name!));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.boolean(), async (index, isCut) => {
        const bad = Buffer.from(isCut ? bytes.subarray(0, index) : bytes);
        if (!isCut) bad[index]! ^= 0x40;
        await writeFile(join(directory, name!), bad);
        const { sessions, warnings } = await start(directory);
        expect(await sessions.list('ann', PAGE)).toEqual([]);
        expect(warnings).toEqual([expect.stringContaining(name!)]);
      }),
      { numRuns: 40 },
    );
    // The next answer writes it anew.
    const after = await start(directory);
    after.exchange({ session: 'a' }, run(0, 20), run(100, 4));
    await after.sessions.close();
    expect(await (await start(directory)).sessions.list('ann', PAGE)).toHaveLength(1);
  });

  test('may be deleted under a running server', async () => {
    const directory = join(temporaryFolder(), 'sessions');
    const { sessions, exchange, warnings } = await start(directory);
    exchange({ session: 's' }, run(0, 20), run(100, 4));
    await sessions.save('ann', 's');
    await rm(directory, { recursive: true });
    exchange({ session: 's' }, run(0, 28), run(100, 4));
    await sessions.save('ann', 's');
    expect(warnings).toEqual([]);
    expect((await (await start(directory)).sessions.get('ann', 's')).tokens).toBe(32);
  });

  test('that cannot be written fails saves, not requests', async () => {
    const folder = temporaryFolder();
    const directory = join(folder, 'sessions');
    // A file where the folder should be: also refuses a superuser.
    await writeFile(directory, '');
    const { sessions, exchange, warnings } = await start(directory);
    expect(exchange({ session: 's' }, run(0, 20), run(100, 4)).computed).toBe(20);
    await expect(sessions.save('ann', 's')).rejects.toMatchObject({ code: 'disk_full' });
    expect((await sessions.get('ann', 's')).savedTokens).toBe(0);
    expect(warnings.length).toBeGreaterThan(0);
    expect(sessions.numFailures).toBeGreaterThan(0);
    await rm(directory);
    expect((await sessions.save('ann', 's')).savedTokens).toBe(24);
  });

  test('is cleared of what killed servers left, not of what others write', async () => {
    const directory = temporaryFolder();
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o700);
    for (const name of ['old.session.1.tmp', 'new.session.2.tmp', 'unrelated.txt'])
      await writeFile(join(directory, name), 'x');
    const { utimes } = await import('node:fs/promises');
    await utimes(join(directory, 'old.session.1.tmp'), 1, 1);
    await start(directory);
    expect((await readdir(directory)).sort()).toEqual(['new.session.2.tmp', 'unrelated.txt']);
  });
});
