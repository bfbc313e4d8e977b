/** What is in the cache: found without the hub, listed, verified, removed, whoever has put it there. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import {
  findInstalled,
  listInstalled,
  removeInstalled,
  requireInstalled,
  verifyInstalled,
} from '../../src/hub/installed-models.ts';
import { requireModelName } from '../../src/hub/model-name.ts';
import { pullModel } from '../../src/hub/pull-model.ts';
import { RepositoryCache } from '../../src/hub/repository-cache.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { gitHash, HubStandIn, IMPATIENT, noise, sha256 } from '../support/hub.ts';

const pull = (settings: HubSettings, name: string) =>
  pullModel({
    settings,
    name: requireModelName(name),
    check: { gguf: () => true, config: () => undefined },
    patience: IMPATIENT,
  });

/** A cache as another tool writes it. */
const put = (cacheFolder: string, repository: string, commit: string, path: string, content: Buffer): string => {
  const folder = join(cacheFolder, `models--${repository.replace('/', '--')}`);
  const blob = join(folder, 'blobs', path.endsWith('.json') ? gitHash(content) : sha256(content));
  const location = join(folder, 'snapshots', commit, path);
  for (const file of [blob, location, join(folder, 'refs', 'main')]) mkdirSync(dirname(file), { recursive: true });
  writeFileSync(blob, content);
  symlinkSync(relative(dirname(location), blob), location);
  writeFileSync(join(folder, 'refs', 'main'), commit);
  return blob;
};

const installed = async () => {
  const hub = await HubStandIn.start();
  for (const label of ['Q4_0', 'Q8_0'])
    hub.add('org/tiny', `m-${label}.gguf`, noise(5000, label.length + label.charCodeAt(1)));
  const settings = hub.settings();
  await pull(settings, 'org/tiny:Q4_0');
  await pull(settings, 'org/tiny:Q8_0');
  return { hub, settings, cacheFolder: settings.cacheFolder };
};

const names = async (cacheFolder: string): Promise<string[]> =>
  (await listInstalled(cacheFolder)).map(({ name }) => name);

test('finds what is here without asking the hub', async () => {
  const { hub, cacheFolder } = await installed();
  hub.forget();
  const found = await findInstalled(cacheFolder, requireModelName('org/tiny:Q4_0'));
  expect(found?.path).toMatch(/m-Q4_0\.gguf$/);
  expect((await findInstalled(cacheFolder, requireModelName('org/tiny')))?.name).toBe('org/tiny:Q8_0');
  expect(await findInstalled(cacheFolder, requireModelName('org/tiny:Q2_K'))).toBeUndefined();
  expect(await findInstalled(cacheFolder, requireModelName('org/tiny@v2'))).toBeUndefined();
  expect(await findInstalled(cacheFolder, requireModelName('org/other'))).toBeUndefined();
  expect(hub.requests).toEqual([]);
});

test('finds by file and by commit', async () => {
  const { hub, cacheFolder } = await installed();
  const found = await findInstalled(cacheFolder, requireModelName(`org/tiny:m-Q4_0.gguf@${hub.commit}`));
  expect(found?.path).toMatch(/m-Q4_0\.gguf$/);
});

test('finds and lists what other tools have fetched; what is not whole is not there', async () => {
  const hub = await HubStandIn.start();
  const { cacheFolder } = hub.settings();
  put(cacheFolder, 'org/gguf', 'abc1234', 'sub/m-Q5_K_M.gguf', noise(100));
  for (const path of ['config.json', 'tokenizer.json', 'model.safetensors']) {
    put(cacheFolder, 'org/whole', 'abc1234', path, Buffer.from(path));
  }
  put(cacheFolder, 'org/half', 'abc1234', 'config.json', Buffer.from('{}'));
  put(cacheFolder, 'org/parts', 'abc1234', 'm-00001-of-00002.gguf', noise(10));
  rmSync(put(cacheFolder, 'org/broken', 'abc1234', 'm-Q4_0.gguf', noise(20)));
  mkdirSync(join(cacheFolder, 'datasets--org--d'));
  expect(await listInstalled(cacheFolder)).toMatchObject([
    { name: 'org/gguf:Q5_K_M', format: 'gguf', sizeBytes: 100, commit: 'abc1234', revisions: ['main'] },
    { name: 'org/whole', format: 'safetensors', sizeBytes: 42 },
  ]);
  expect((await findInstalled(cacheFolder, requireModelName('org/whole')))?.path).toMatch(/snapshots.abc1234.?$/);
  for (const name of ['org/half', 'org/parts', 'org/broken']) {
    expect(await findInstalled(cacheFolder, requireModelName(name))).toBeUndefined();
  }
});

test('lists nothing where there is no cache', async () => {
  expect(await listInstalled('/no/such/folder')).toEqual([]);
});

test('lists names that find what they list', async () => {
  const { hub, settings, cacheFolder } = await installed();
  hub.add('org/twins', 'a-Q4_0.gguf', noise(10));
  hub.add('org/twins', 'b-Q4_0.gguf', noise(20));
  await pull(settings, 'org/twins:a-Q4_0.gguf');
  await pull(settings, 'org/twins:b-Q4_0.gguf');
  const models = await listInstalled(cacheFolder);
  expect(models.map(({ name }) => name)).toEqual([
    'org/tiny:Q4_0',
    'org/tiny:Q8_0',
    'org/twins:a-Q4_0.gguf',
    'org/twins:b-Q4_0.gguf',
  ]);
  for (const { name, path } of models) {
    expect((await findInstalled(cacheFolder, requireModelName(name)))?.path).toBe(path);
  }
});

const verdicts = async (cacheFolder: string, name: string): Promise<string[]> => {
  const found: string[] = [];
  for (const model of await requireInstalled(cacheFolder, requireModelName(name))) {
    for await (const { path, verdict } of verifyInstalled(model)) found.push(`${path} ${verdict}`);
  }
  return found;
};

test('verifies every byte, and tells a changed one', async () => {
  const { cacheFolder } = await installed();
  expect(await verdicts(cacheFolder, 'org/tiny')).toEqual(['m-Q4_0.gguf right', 'm-Q8_0.gguf right']);
  const { path } = (await requireInstalled(cacheFolder, requireModelName('org/tiny:Q8_0')))[0]!;
  const content = readFileSync(path);
  content[4999]! ^= 1;
  writeFileSync(path, content);
  expect(await verdicts(cacheFolder, 'org/tiny')).toEqual(['m-Q4_0.gguf right', 'm-Q8_0.gguf wrong']);
  await expect(verdicts(cacheFolder, 'org/none')).rejects.toMatchObject({ code: 'model_not_found' });
});

test('copies where links cannot be made, and says that a copy cannot be verified', async () => {
  const hub = await HubStandIn.start();
  const { cacheFolder } = hub.settings();
  const noLinks = async (): Promise<void> => {
    throw Object.assign(new Error('no links here'), { code: 'EPERM' });
  };
  const cache = new RepositoryCache(cacheFolder, 'org/tiny', noLinks);
  const content = noise(300);
  mkdirSync(dirname(cache.blobPath('x')), { recursive: true });
  writeFileSync(cache.blobPath(sha256(content)), content);
  await cache.link('abc1234', 'sub/m-Q4_0.gguf', sha256(content));
  await cache.writeRevision('main', 'abc1234');
  expect(readFileSync(cache.snapshotPath('abc1234', 'sub/m-Q4_0.gguf')).equals(content)).toBe(true);
  expect(await verdicts(cacheFolder, 'org/tiny')).toEqual(['sub/m-Q4_0.gguf unknown']);
  expect(await names(cacheFolder)).toEqual(['org/tiny:Q4_0']);
});

test('removes one quantization and its blob, and leaves the rest', async () => {
  const { cacheFolder } = await installed();
  const removal = await removeInstalled(cacheFolder, requireModelName('org/tiny:Q4_0'));
  expect(removal).toEqual({ names: ['org/tiny:Q4_0'], freedBytes: 5000 });
  expect(await names(cacheFolder)).toEqual(['org/tiny:Q8_0']);
  expect(readdirSync(join(cacheFolder, 'models--org--tiny', 'blobs'))).toHaveLength(1);
  expect(await verdicts(cacheFolder, 'org/tiny')).toEqual(['m-Q8_0.gguf right']);
});

test('keeps a blob that another snapshot needs', async () => {
  const { hub, settings, cacheFolder } = await installed();
  const first = hub.commit;
  hub.commit = 'beefbeefbeefbeefbeefbeefbeefbeefbeefbeef';
  await pull(settings, 'org/tiny:Q4_0');
  expect(await removeInstalled(cacheFolder, requireModelName(`org/tiny:Q4_0@${first}`))).toEqual({
    names: [`org/tiny:Q4_0@${first}`],
    freedBytes: 0,
  });
  expect(await verdicts(cacheFolder, 'org/tiny:Q4_0')).toEqual(['m-Q4_0.gguf right']);
});

test('removes the folder with the last model, and with a repository what is left of its downloads', async () => {
  const { hub, settings, cacheFolder } = await installed();
  const folder = join(cacheFolder, 'models--org--tiny');
  await removeInstalled(cacheFolder, requireModelName('org/tiny:Q4_0'));
  await removeInstalled(cacheFolder, requireModelName('org/tiny:Q8_0'));
  expect(existsSync(folder)).toBe(false);
  hub.fail('m-Q4_0.gguf', {}, ...Array.from({ length: 9 }, () => ({ cutAfterBytes: 0 })));
  await expect(pull(settings, 'org/tiny:Q4_0')).rejects.toMatchObject({ code: 'download_failed' });
  expect(existsSync(folder)).toBe(true);
  await removeInstalled(cacheFolder, requireModelName('org/tiny'));
  expect(existsSync(folder)).toBe(false);
  await expect(removeInstalled(cacheFolder, requireModelName('org/tiny'))).rejects.toMatchObject({
    code: 'model_not_found',
    message: expect.stringMatching(/`firstlight list` shows what is/),
  });
});
