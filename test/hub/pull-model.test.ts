/** Fetching from a hub that does what it should: what is fetched, where it is laid, who sees the token. */
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { requireModelName } from '../../src/hub/model-name.ts';
import {
  askHub,
  type ModelCheck,
  type PullChoice,
  type PullOptions,
  type PullProgress,
  pullModel,
} from '../../src/hub/pull-model.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { gitHash, HubStandIn, IMPATIENT, noise, sha256 } from '../support/hub.ts';

const RUNS: ModelCheck = { gguf: () => true, config: () => undefined };

const pull = (settings: HubSettings, name: string, more: Partial<PullOptions> = {}) =>
  pullModel({
    settings,
    name: requireModelName(name),
    check: RUNS,
    patience: IMPATIENT,
    cutting: { pieceBytes: 10_000, connections: 3 },
    ...more,
  });

test('lays a GGUF file out as the hub’s own tools do: blob by SHA-256, relative link, ref', async () => {
  const hub = await HubStandIn.start();
  const content = hub.add('org/tiny-GGUF', 'tiny-Q4_K_M.gguf', noise(45_678));
  const settings = hub.settings();
  const model = await pull(settings, 'org/tiny-GGUF');
  const folder = join(settings.cacheFolder, 'models--org--tiny-GGUF');
  expect(model.path).toBe(join(folder, 'snapshots', hub.commit, 'tiny-Q4_K_M.gguf'));
  expect(readlinkSync(model.path)).toBe(join('..', '..', 'blobs', sha256(content)));
  expect(readFileSync(model.path).equals(content)).toBe(true);
  expect(readFileSync(join(folder, 'refs', 'main'), 'utf8')).toBe(hub.commit);
  expect(model).toMatchObject({ name: 'org/tiny-GGUF:Q4_K_M', format: 'gguf', commit: hub.commit, sizeBytes: 45_678 });
});

test('fetches in ranges that cover the file exactly once', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/tiny', 'tiny.gguf', noise(34_567));
  await pull(hub.settings(), 'org/tiny');
  // The first range is the header's, for the check.
  const ranges = new Set(hub.requests.filter(({ server }) => server === 'store').map(({ range }) => range));
  expect(ranges).toEqual(
    new Set(['bytes=0-34566', 'bytes=0-9999', 'bytes=10000-19999', 'bytes=20000-29999', 'bytes=30000-34566']),
  );
});

test('asks for nothing again that is here', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/tiny', 'tiny.gguf', noise(20_000));
  const settings = hub.settings();
  await pull(settings, 'org/tiny');
  hub.forget();
  const again = await pull(settings, 'org/tiny');
  expect(again.missingBytes).toBe(0);
  expect(hub.requests.map(({ path }) => path)).toEqual(['/api/models/org/tiny/revision/main']);
});

test('takes a blob that another tool has left, and links it', async () => {
  const hub = await HubStandIn.start();
  const content = hub.add('org/tiny', 'tiny.gguf', noise(20_000));
  const settings = hub.settings();
  const blob = join(settings.cacheFolder, 'models--org--tiny', 'blobs', sha256(content));
  mkdirSync(dirname(blob), { recursive: true });
  writeFileSync(blob, content);
  const { path } = await pull(settings, 'org/tiny');
  expect(hub.rangesOf('tiny.gguf')).toEqual([]);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('fetches a whole safetensors repository when there is no GGUF file, and nothing beside it', async () => {
  const hub = await HubStandIn.start();
  const wanted = [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'chat_template.jinja',
    'model.safetensors.index.json',
  ];
  for (const path of wanted) hub.add('org/whole', path, `{"of": "${path}"}`);
  for (const part of [1, 2]) hub.add('org/whole', `model-0000${part}-of-00002.safetensors`, noise(5000, part), true);
  for (const path of ['README.md', 'pytorch_model.bin', 'consolidated.safetensors', 'onnx/model.onnx']) {
    hub.add('org/whole', path, 'not wanted');
  }
  const settings = hub.settings();
  const model = await pull(settings, 'org/whole');
  expect(model.format).toBe('safetensors');
  expect(model.path).toBe(join(settings.cacheFolder, 'models--org--whole', 'snapshots', hub.commit));
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  expect(new Set(model.paths)).toEqual(new Set([...wanted, ...shards]));
  const config = Buffer.from('{"of": "config.json"}');
  expect(readlinkSync(join(model.path, 'config.json'))).toBe(join('..', '..', 'blobs', gitHash(config)));
});

test('fetches all parts of a split file and opens the first', async () => {
  const hub = await HubStandIn.start();
  for (const part of [1, 2, 3]) hub.add('org/split', `big/m-Q8_0-0000${part}-of-00003.gguf`, noise(3000, part));
  const model = await pull(hub.settings(), 'org/split:Q8_0');
  expect(model.paths).toHaveLength(3);
  expect(model.path).toMatch(/m-Q8_0-00001-of-00003\.gguf$/);
  for (const part of [1, 2, 3]) {
    expect(readFileSync(model.path.replace('00001', `0000${part}`)).equals(noise(3000, part))).toBe(true);
  }
});

test('says what it chose, why, and how much is missing, before it fetches', async () => {
  const hub = await HubStandIn.start();
  for (const label of ['Q2_K', 'Q8_0', 'Q4_K_S', 'F16']) hub.add('org/many', `m-${label}.gguf`, noise(1000));
  const choices: PullChoice[] = [];
  await pull(hub.settings(), 'org/many', { onChoice: (choice) => choices.push(choice) });
  expect(choices).toEqual([
    {
      name: 'org/many:Q4_K_S',
      reason: 'preferred of 4 (the order is Q4_K_M, Q4_K_S, Q5_K_M, Q8_0, Q6_K, Q4_0, …)',
      paths: ['m-Q4_K_S.gguf'],
      sizeBytes: 1000,
      missingBytes: 1000,
    },
  ]);
});

test('tells what a repository offers without fetching anything', async () => {
  const hub = await HubStandIn.start();
  for (const label of ['Q8_0', 'Q4_K_M']) hub.add('org/many', `m-${label}.gguf`, noise(1000));
  const { listing, choice } = await askHub(hub.settings(), requireModelName('org/many'), IMPATIENT);
  expect(listing.files.map(({ path, sizeBytes }) => [path, sizeBytes])).toEqual([
    ['m-Q8_0.gguf', 1000],
    ['m-Q4_K_M.gguf', 1000],
  ]);
  expect(choice.entry.path).toBe('m-Q4_K_M.gguf');
  expect(hub.requests).toHaveLength(1);
});

test('reads the header by ranges, longer each time, and fetches nothing of a model that cannot run', async () => {
  const hub = await HubStandIn.start();
  const content = hub.add('org/odd', 'odd-Q4_K_M.gguf', noise(5_000_000));
  const heads: number[] = [];
  const gguf: ModelCheck['gguf'] = (file, head) => {
    expect(file).toEqual({ what: 'org/odd/odd-Q4_K_M.gguf', sizeBytes: 5_000_000, isWhole: true });
    expect(content.subarray(0, head.length).equals(head)).toBe(true);
    heads.push(head.length);
    if (head.length < 2_000_000) return false;
    throw new EngineError('model_unsupported', 'a mammoth');
  };
  const settings = hub.settings();
  await expect(pull(settings, 'org/odd', { check: { ...RUNS, gguf } })).rejects.toMatchObject({ message: 'a mammoth' });
  expect(heads).toEqual([1_048_576, 4_194_304]);
  expect(hub.rangesOf('odd-Q4_K_M.gguf')).toEqual(['0-1048575', '1048576-4194303']);
  expect(existsSync(join(settings.cacheFolder, 'models--org--odd'))).toBe(false);
});

test('gives config.json to the check before any weight is fetched', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/bert', 'config.json', '{"model_type": "bert"}');
  hub.add('org/bert', 'model.safetensors', noise(9000), true);
  const config = (what: string, content: unknown): never => {
    throw new EngineError('model_unsupported', `${what} ${JSON.stringify(content)}`);
  };
  await expect(pull(hub.settings(), 'org/bert', { check: { ...RUNS, config } })).rejects.toMatchObject({
    message: 'org/bert/config.json {"model_type":"bert"}',
  });
  expect(hub.rangesOf('model.safetensors')).toEqual([]);
});

test('sends the token to the hub and to no other origin', async () => {
  const hub = await HubStandIn.start();
  hub.token = 'hf_secret';
  hub.add('org/gated', 'm.gguf', noise(30_000));
  await pull(hub.settings({ token: 'hf_secret' }), 'org/gated');
  const sent = (server: string) =>
    new Set(hub.requests.filter((request) => request.server === server).map(({ authorization }) => authorization));
  expect(sent('hub')).toEqual(new Set(['Bearer hf_secret']));
  expect(sent('store')).toEqual(new Set([undefined]));
});

test('fetches from a mirror that lists names only, by the ETags of the files themselves', async () => {
  const hub = await HubStandIn.start();
  hub.listsBlobs = false;
  hub.add('org/plain', 'config.json', '{}');
  hub.add('org/plain', 'tokenizer.json', '{"a": 1}');
  const content = hub.add('org/plain', 'model.safetensors', noise(12_345), true);
  const { path } = await pull(hub.settings(), 'org/plain');
  expect(readFileSync(join(path, 'model.safetensors')).equals(content)).toBe(true);
  expect(readlinkSync(join(path, 'model.safetensors'))).toContain(sha256(content));
  expect(readFileSync(join(path, 'tokenizer.json'), 'utf8')).toBe('{"a": 1}');
});

test('refuses names that would leave the cache', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/evil', '../../../evil-Q4_K_M.gguf', noise(100));
  hub.add('org/evil', 'good-Q8_0.gguf', noise(100));
  const { paths } = await pull(hub.settings(), 'org/evil');
  expect(paths).toEqual(['good-Q8_0.gguf']);
});

test('checks the free disk before the first byte', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/huge', 'huge.gguf', noise(1000));
  hub.claimedBytes.set('huge.gguf', 2 ** 52);
  await expect(pull(hub.settings(), 'org/huge')).rejects.toMatchObject({
    code: 'disk_full',
    message: expect.stringMatching(/needs 4503599694479360 bytes, .* has \d+ free; .*HF_HOME/),
  });
});

test('reports bytes up to the total, fetched and checked', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/tiny', 'tiny.gguf', noise(45_678));
  const seen: PullProgress[] = [];
  await pull(hub.settings(), 'org/tiny', { onProgress: (progress) => seen.push(progress) });
  const fetched = seen.map(({ fetchedBytes }) => fetchedBytes);
  expect(fetched).toEqual(fetched.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toEqual({
    phase: 'check',
    path: 'tiny.gguf',
    fetchedBytes: 45_678,
    checkedBytes: 45_678,
    totalBytes: 45_678,
  });
});

test('fetches an empty file', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/whole', 'config.json', '{}');
  hub.add('org/whole', 'merges.txt', '');
  hub.add('org/whole', 'model.safetensors', noise(100), true);
  const { path } = await pull(hub.settings(), 'org/whole');
  expect(readFileSync(join(path, 'merges.txt'), 'utf8')).toBe('');
});

test('asks for another revision by name, and remembers its commit', async () => {
  const hub = await HubStandIn.start();
  hub.add('org/tiny', 'tiny.gguf', noise(1000));
  const settings = hub.settings();
  const { name } = await pull(settings, `org/tiny@${hub.commit}`);
  expect(name).toBe(`org/tiny@${hub.commit}`);
  expect(existsSync(join(settings.cacheFolder, 'models--org--tiny', 'refs'))).toBe(false);
  await expect(pull(settings, 'org/tiny@v9')).rejects.toMatchObject({
    code: 'model_not_found',
    message: expect.stringContaining('org/tiny@v9'),
  });
});

test('stays off the network when it is told to', async () => {
  const hub = await HubStandIn.start();
  await expect(pull(hub.settings({ isOffline: true }), 'org/tiny')).rejects.toMatchObject({
    message: expect.stringContaining('HF_HUB_OFFLINE'),
  });
  expect(hub.requests).toEqual([]);
});

test('fetches again what was removed by hand', async () => {
  const hub = await HubStandIn.start();
  const content = hub.add('org/tiny', 'tiny.gguf', noise(20_000));
  const settings = hub.settings();
  const { path } = await pull(settings, 'org/tiny');
  rmSync(join(settings.cacheFolder, 'models--org--tiny', 'blobs', sha256(content)));
  await pull(settings, 'org/tiny');
  expect(readFileSync(path).equals(content)).toBe(true);
});
