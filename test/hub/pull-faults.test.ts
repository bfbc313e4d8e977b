/** Fetching from a hub that cuts, lies, refuses and changes its mind. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { requireModelName } from '../../src/hub/model-name.ts';
import { type ModelCheck, type PullOptions, pullModel } from '../../src/hub/pull-model.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { type Fault, HubStandIn, IMPATIENT, noise, sha256 } from '../support/hub.ts';

const CHECK: ModelCheck = { gguf: () => true, config: () => undefined };
const REPOSITORY = 'org/tiny';
const PATH = 'tiny.gguf';
const SIZE = 50_000;

/** The header's look is right; what follows meets the faults. */
const hubWith = async (...faults: Fault[]): Promise<{ hub: HubStandIn; content: Buffer }> => {
  const hub = await HubStandIn.start();
  const content = hub.add(REPOSITORY, PATH, noise(SIZE));
  if (faults.length > 0) hub.fail(PATH, {}, ...faults);
  return { hub, content };
};

const pull = (settings: HubSettings, more: Partial<PullOptions> = {}) =>
  pullModel({
    settings,
    name: requireModelName(REPOSITORY),
    check: CHECK,
    patience: IMPATIENT,
    cutting: { pieceBytes: SIZE, connections: 1 },
    ...more,
  });

const blobs = (settings: HubSettings): string => join(settings.cacheFolder, 'models--org--tiny', 'blobs');
const repeated = (fault: Fault, times = 50): Fault[] => Array.from({ length: times }, () => fault);

test('goes on at the byte where the connection was cut', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 12_345 }, { cutAfterBytes: 20_000 });
  const { path } = await pull(hub.settings());
  expect(hub.rangesOf(PATH)).toEqual(['0-49999', '0-49999', '12345-49999', '32345-49999']);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('goes on in the next run at the byte where the last one stopped', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 12_345 }, ...repeated({ cutAfterBytes: 0 }, 3));
  const settings = hub.settings();
  await expect(pull(settings)).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(/at byte 12345 of 50000, 3 times; what is there is kept/),
  });
  expect(existsSync(join(blobs(settings), sha256(content)))).toBe(false);
  hub.forget();
  const firstSeen: number[] = [];
  const { path } = await pull(settings, { onProgress: ({ fetchedBytes }) => firstSeen.push(fetchedBytes) });
  expect(hub.rangesOf(PATH)).toEqual(['0-49999', '12345-49999']);
  expect(firstSeen[0]).toBeGreaterThan(12_345);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('fetches only the gaps that several connections have left', async () => {
  const { hub, content } = await hubWith();
  hub.fail(PATH, {}, {}, { cutAfterBytes: 3000 }, ...repeated({ status: 403 }, 20));
  const settings = hub.settings();
  const cutting = { pieceBytes: 10_000, connections: 2 };
  await expect(pull(settings, { cutting })).rejects.toMatchObject({ code: 'forbidden' });
  const sidecar = readdirSync(blobs(settings)).find((name) => name.endsWith('.json'))!;
  const { ranges } = JSON.parse(readFileSync(join(blobs(settings), sidecar), 'utf8')) as { ranges: [number, number][] };
  expect(ranges.at(0)?.[0]).toBe(0);
  const there = ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  expect(there).toBeLessThan(SIZE);
  hub.add(REPOSITORY, PATH, content);
  const again = await HubStandIn.start();
  again.add(REPOSITORY, PATH, content);
  const { path } = await pull({ ...settings, endpoint: again.url }, { cutting });
  const asked = again
    .rangesOf(PATH)
    .slice(1)
    .map((range) => range.split('-').map(Number) as [number, number]);
  expect(asked.reduce((sum, [start, last]) => sum + last + 1 - start, 0)).toBe(SIZE - there);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('never lets a corrupt byte count: fetches again, then gives up without a blob', async () => {
  const { hub, content } = await hubWith({ corruptAt: 33_333 });
  const { path } = await pull(hub.settings());
  expect(readFileSync(path).equals(content)).toBe(true);
  const { hub: worse } = await hubWith({ corruptAt: 0 }, { corruptAt: 49_999 });
  const settings = worse.settings();
  await expect(pull(settings)).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(new RegExp(`digest ${sha256(content)}\\), twice`)),
  });
  expect(readdirSync(blobs(settings))).toEqual([]);
});

test('starts over when the ETag changes midway, and gives up when it goes on changing', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 20_000 }, { etag: 'another' });
  const { path } = await pull(hub.settings());
  expect(hub.rangesOf(PATH)).toEqual(['0-49999', '0-49999', '20000-49999', '0-49999', '0-49999']);
  expect(readFileSync(path).equals(content)).toBe(true);
  const { hub: worse } = await hubWith();
  worse.fail(`link ${PATH}`, ...[0, 1, 2, 3].map((time) => ({ etag: time % 2 === 0 ? sha256(content) : 'another' })));
  await expect(pull(worse.settings())).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(/its ETag changed from .* to another, also after listing again/),
  });
});

test('lists again when the file was replaced after it was listed', async () => {
  const { hub } = await hubWith();
  const replaced = noise(60_000, 7);
  const check: ModelCheck = {
    ...CHECK,
    gguf: () => {
      hub.add(REPOSITORY, PATH, replaced);
      return true;
    },
  };
  const { path, sizeBytes } = await pull(hub.settings(), { check });
  expect(sizeBytes).toBe(60_000);
  expect(readFileSync(path).equals(replaced)).toBe(true);
});

test.each<[string, Fault]>([
  ['says that the file is shorter', { shortBytes: 10, contentRange: `bytes 0-${SIZE - 11}/${SIZE - 10}` }],
  ['sends less than it announces in Content-Range', { shortBytes: 10 }],
  ['sends more bytes than the file has', { extraBytes: 5 }],
  ['sends another range than was asked for', { contentRange: `bytes 5-${SIZE - 1}/${SIZE}` }],
  ['answers a range with the whole file', { ignoresRange: true }],
  ['breaks the whole file off', { ignoresRange: true, cutAfterBytes: 100 }],
])('gets the right file from a hub that once %s', async (_, fault) => {
  const { hub, content } = await hubWith(fault);
  const { path } = await pull(hub.settings());
  expect(readFileSync(path).equals(content)).toBe(true);
});

test('fetches from a hub that never honours ranges, over one connection', async () => {
  const { hub, content } = await hubWith(...repeated({ ignoresRange: true }));
  const { path } = await pull(hub.settings(), { cutting: { pieceBytes: 10_000, connections: 4 } });
  expect(hub.rangesOf(PATH)).toEqual(['0-49999', '0-9999']);
  expect(readFileSync(path).equals(content)).toBe(true);
});

test.each<[string, Fault]>([
  ['claims another length each time', { contentRange: 'bytes 0-9/10' }],
  ['sends too much each time', { extraBytes: 5 }],
  ['cuts each time before the first byte', { cutAfterBytes: 0 }],
  ['sends other ranges each time', { contentRange: `bytes 1-${SIZE - 1}/${SIZE}` }],
  ['answers 416', { status: 416 }],
])('gives up on a hub that %s, without a blob', async (_, fault) => {
  const { hub, content } = await hubWith(...repeated(fault));
  const settings = hub.settings();
  await expect(pull(settings)).rejects.toMatchObject({ name: 'EngineError' });
  expect(existsSync(join(blobs(settings), sha256(content)))).toBe(false);
});

test.each([500, 502, 503, 504, 408, 429])('asks again after a %d, and gives up after three', async (status) => {
  const { hub, content } = await hubWith({ status }, { status });
  const { path } = await pull(hub.settings());
  expect(readFileSync(path).equals(content)).toBe(true);
  hub.fail('api', ...repeated({ status }, 3));
  await expect(pull(hub.settings())).rejects.toMatchObject({
    code: status === 429 ? 'overloaded' : 'download_failed',
    message: expect.stringContaining(String(status)),
  });
});

test('waits as long as Retry-After says', async () => {
  const { hub } = await hubWith();
  hub.fail('api', { status: 429, headers: { 'retry-after': '0' } }, { status: 503, headers: { 'retry-after': '0' } });
  await expect(pull(hub.settings())).resolves.toMatchObject({ sizeBytes: SIZE });
});

test.each([
  ['retry-after', '3600'],
  ['ratelimit', '"api";r=0;t=3600'],
])('gives up at once when %s asks for more than it would wait', async (header, value) => {
  const { hub } = await hubWith();
  hub.fail('api', { status: 429, headers: { [header]: value } });
  await expect(pull(hub.settings())).rejects.toMatchObject({
    code: 'overloaded',
    message: expect.stringMatching(/in 3600 s, or set HF_TOKEN/),
    details: { retryAfterSeconds: 3600 },
  });
});

test('says what opens a gated repository, and what is wrong with a token', async () => {
  const { hub } = await hubWith();
  hub.token = 'hf_right';
  await expect(pull(hub.settings())).rejects.toMatchObject({
    code: 'unauthorized',
    message: `org/tiny: the repository is gated; accept its terms at ${hub.url}/org/tiny; then set HF_TOKEN`,
  });
  await expect(pull(hub.settings({ token: 'hf_wrong' }))).rejects.toMatchObject({
    code: 'unauthorized',
    message: expect.stringMatching(/does not accept the token \("Invalid token"\)/),
  });
  hub.token = undefined;
  hub.fail('api', { status: 403, headers: { 'x-error-code': 'GatedRepo' } });
  await expect(pull(hub.settings({ token: 'hf_right' }))).rejects.toMatchObject({
    code: 'forbidden',
    message: expect.stringMatching(/gated; accept its terms at .*the token does not open it yet/),
  });
});

test('says that a repository does not exist, or may be private', async () => {
  const hub = await HubStandIn.start();
  await expect(pull(hub.settings())).rejects.toMatchObject({
    code: 'model_not_found',
    message: expect.stringMatching(/no such repository.*set HF_TOKEN/),
  });
  hub.fail('api', { status: 401, headers: { 'x-error-code': 'RepoNotFound' } });
  await expect(pull(hub.settings())).rejects.toMatchObject({ code: 'model_not_found' });
});

test('asks the hub for a new link when the old one has expired', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 20_000 }, { status: 403 });
  const { path } = await pull(hub.settings());
  expect(readFileSync(path).equals(content)).toBe(true);
  const links = hub.requests.filter(({ server, path: asked }) => server === 'hub' && asked.endsWith(PATH));
  expect(links.length).toBe(3);
});

test('gives up on a connection that says nothing, in words', async () => {
  const { hub } = await hubWith(...repeated({ isSilent: true }));
  const patience = { ...IMPATIENT, stallMs: 20 };
  await expect(pull(hub.settings(), { patience })).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(/said nothing for 0.02 s; check the network, or set HF_ENDPOINT/),
  });
});

test('says that a hub cannot be reached', async () => {
  const settings = { ...(await hubWith()).hub.settings(), endpoint: 'http://127.0.0.1:9' };
  await expect(pull(settings)).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringMatching(/127\.0\.0\.1:9 cannot be reached \(.+\); check the network/),
  });
});

test('says that the endpoint is no hub', async () => {
  const { hub } = await hubWith();
  hub.fail('api', { status: 204 });
  await expect(pull(hub.settings())).rejects.toMatchObject({
    message: expect.stringMatching(/is HF_ENDPOINT .* a hub\?/),
  });
});

test('stops when asked to, and keeps what it has', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 20_000 }, ...repeated({ isSilent: true }));
  const settings = hub.settings();
  const stop = new AbortController();
  const onProgress = ({ fetchedBytes }: { fetchedBytes: number }): void => {
    if (fetchedBytes >= 20_000) setImmediate(() => stop.abort());
  };
  await expect(pull(settings, { signal: stop.signal, onProgress })).rejects.toMatchObject({ code: 'aborted' });
  const again = await HubStandIn.start();
  again.add(REPOSITORY, PATH, content);
  await pull({ ...settings, endpoint: again.url });
  expect(again.rangesOf(PATH)).toEqual(['0-49999', '20000-49999']);
});

test('leaves a file to the process that fetches it, and takes it over from one that has ended', async () => {
  const { hub, content } = await hubWith({ cutAfterBytes: 12_345 }, ...repeated({ cutAfterBytes: 0 }, 3));
  const settings = hub.settings();
  await expect(pull(settings)).rejects.toMatchObject({ code: 'download_failed' });
  const lock = join(blobs(settings), `${sha256(content)}.firstlight.lock`);
  expect(existsSync(lock)).toBe(false);
  writeFileSync(lock, `${process.ppid} ${hostname()}`);
  await expect(pull(settings)).rejects.toMatchObject({ code: 'overloaded', message: expect.stringContaining(lock) });
  writeFileSync(lock, `4194305 ${hostname()}`);
  const { path } = await pull(settings);
  expect(readFileSync(path).equals(content)).toBe(true);
  expect(existsSync(lock)).toBe(false);
});

test.each(['', 'not JSON', '{"sizeBytes": 7}', `{"sizeBytes": ${SIZE}, "ranges": [[0, ${SIZE + 1}]]}`])(
  'fetches everything when the notes beside a partial file are damaged: %s',
  async (notes) => {
    const { hub, content } = await hubWith({ cutAfterBytes: 12_345 }, ...repeated({ cutAfterBytes: 0 }, 3));
    const settings = hub.settings();
    await expect(pull(settings)).rejects.toMatchObject({ code: 'download_failed' });
    writeFileSync(join(blobs(settings), `${sha256(content)}.firstlight.json`), notes);
    hub.forget();
    const { path } = await pull(settings);
    expect(hub.rangesOf(PATH)).toEqual(['0-49999', '0-49999']);
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(readdirSync(blobs(settings))).toEqual([sha256(content)]);
    expect(statSync(path).size).toBe(SIZE);
  },
);
