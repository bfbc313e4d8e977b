/** The hub's cache behind the server: fetched from a hub stand-in, listed, described, removed. */
import { appendFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HubStore } from '../../src/cli/hub-store.ts';
import { listInstalled } from '../../src/hub/installed-models.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { HubStandIn, IMPATIENT } from '../support/hub.ts';
import { parseSse, type Script, serve } from '../support/serve.ts';
import { safetensorsOf, TINY_CONFIG } from '../support/tiny-hugging-face.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const SCRIPT: Script = { replies: [{ tokens: ['ok'] }] };
const REPOSITORY = 'org/tiny';
const WEIGHTS = 'model.safetensors';

const tinyHub = async (): Promise<HubStandIn> => {
  const hub = await HubStandIn.start();
  hub.add(REPOSITORY, 'config.json', JSON.stringify(TINY_CONFIG));
  hub.add(REPOSITORY, WEIGHTS, safetensorsOf(), true);
  return hub;
};

const storeOf = (settings: HubSettings, servedPath = 'none'): HubStore =>
  new HubStore({ settings, servedPath, patience: IMPATIENT, cutting: { pieceBytes: 1 << 20, connections: 1 } });

const unheard = (): AbortSignal => new AbortController().signal;

const pull = (url: string, model: string, signal: AbortSignal = unheard()): Promise<Response> =>
  fetch(`${url}/api/models/pull`, { method: 'POST', body: JSON.stringify({ model }), signal });

const listed = async (url: string): Promise<object[]> =>
  ((await (await fetch(`${url}/v1/models`)).json()) as { data: object[] }).data.slice(1);

describe.each(TRANSPORTS)('over %s', (transport) => {
  test('fetches a model, lists it with what it is, and removes it', async () => {
    const hub = await tinyHub();
    const { url } = await serve(SCRIPT, { transport, modelStore: storeOf(hub.settings()) });
    expect(await listed(url)).toEqual([]);
    const events = parseSse(await (await pull(url, REPOSITORY)).text());
    const total = safetensorsOf().length + JSON.stringify(TINY_CONFIG).length;
    expect(events.at(0)).toMatchObject(['progress', { total, bytes: expect.any(Number) }]);
    const model = { id: REPOSITORY, format: 'safetensors', context_length: 64, size_bytes: total, served: false };
    expect(events.at(-1)).toMatchObject(['done', { model }]);
    expect(await listed(url)).toMatchObject([model]);
    const removed = await fetch(`${url}/api/models/org%2Ftiny`, { method: 'DELETE' });
    expect(await removed.json()).toEqual({ deleted: [REPOSITORY], freedBytes: total });
    expect(await listed(url)).toEqual([]);
    expect((await fetch(`${url}/api/models/org%2Ftiny`, { method: 'DELETE' })).status).toBe(404);
  });

  test('tells why a model cannot come, and what is no name', async () => {
    const hub = await tinyHub();
    const { url } = await serve(SCRIPT, { transport, modelStore: storeOf(hub.settings()) });
    const events = parseSse(await (await pull(url, 'org/none')).text());
    expect(events).toMatchObject([
      ['error', { code: 'model_not_found', message: expect.stringContaining('org/none') }],
    ]);
    for (const name of ['tiny', '../../etc/passwd', 'org/tiny:../x.gguf']) {
      const answer = await pull(url, name);
      expect([name, answer.status, await answer.json()]).toMatchObject([name, 400, { error: { param: 'model' } }]);
    }
    for (const name of ['tiny', '../../etc', 'org/tiny:../x.gguf', '']) {
      const answer = await fetch(`${url}/api/models/${encodeURIComponent(name)}`, { method: 'DELETE' });
      expect([name, answer.status]).toEqual([name, 404]);
    }
  });

  test('a client that leaves stops the download, which goes on where it stopped', async () => {
    const hub = await tinyHub();
    hub.fail(WEIGHTS, { cutAfterBytes: 12_345 }, { isSilent: true });
    const { url, log } = await serve(SCRIPT, { transport, modelStore: storeOf(hub.settings()) });
    const leaving = new AbortController();
    // Kept until the end: an answer that nobody holds is given up by fetch itself.
    const left = await pull(url, REPOSITORY, leaving.signal);
    await until(() => hub.rangesOf(WEIGHTS).length === 2);
    const second = await pull(url, 'org/tiny:Q8_0');
    expect([second.status, await second.json()]).toMatchObject([409, { error: { code: 'conflict' } }]);
    const removed = await fetch(`${url}/api/models/org%2Ftiny`, { method: 'DELETE' });
    expect(removed.status).toBe(409);
    leaving.abort();
    await until(() => log.some(({ status }) => status === 499));
    const asked = hub.rangesOf(WEIGHTS)[1];
    hub.forget();
    expect(parseSse(await (await pull(url, REPOSITORY)).text()).at(-1)?.[0]).toBe('done');
    expect(asked).toMatch(/^12345-/);
    expect(hub.rangesOf(WEIGHTS)).toEqual([asked]);
    expect(left.status).toBe(200);
  });
});

/** One model in a cache of its own. */
const installed = async () => {
  const hub = await tinyHub();
  const settings = hub.settings();
  await storeOf(settings).pull(REPOSITORY, () => {}, unheard());
  return { settings, model: (await listInstalled(settings.cacheFolder))[0]! };
};

test('reads a model’s header again only when its files have changed', async () => {
  const { settings, model } = await installed();
  const store = storeOf(settings);
  const config = model.files.find(({ path }) => path === 'config.json')!;
  const write = (contextLength: number, atSeconds: number): void => {
    writeFileSync(config.location, JSON.stringify({ ...TINY_CONFIG, max_position_embeddings: contextLength }));
    utimesSync(config.location, atSeconds, atSeconds);
  };
  const contexts = async () => (await store.list()).map(({ contextLength }) => contextLength);
  write(64, 1_700_000_000);
  expect(await Promise.all([contexts(), contexts()])).toEqual([[64], [64]]);
  write(32, 1_700_000_000);
  expect(await contexts()).toEqual([64]);
  write(32, 1_700_000_001);
  expect(await contexts()).toEqual([32]);
});

test('lists a damaged file with its error, without saying where this machine keeps it', async () => {
  const { settings, model } = await installed();
  const config = model.files.find(({ path }) => path === 'config.json')!;
  appendFileSync(config.location, '}');
  const hub = await tinyHub();
  hub.add('org/whole', 'config.json', JSON.stringify(TINY_CONFIG));
  hub.add('org/whole', WEIGHTS, safetensorsOf(), true);
  const store = storeOf({ ...settings, endpoint: hub.url });
  await store.pull('org/whole', () => {}, unheard());
  const models = await store.list();
  expect(models).toMatchObject([
    { id: REPOSITORY, contextLength: undefined, error: { code: 'model_file_invalid' } },
    { id: 'org/whole', contextLength: 64, error: undefined },
  ]);
  expect(models[0]!.error!.message).toMatch(/^org\/tiny\/config\.json/);
  expect(models[0]!.error!.message).not.toContain(settings.cacheFolder);
});

test('knows the served model by its files, and removes neither it nor its repository', async () => {
  const { settings, model } = await installed();
  const store = storeOf(settings, model.path);
  expect(await store.list()).toMatchObject([{ id: REPOSITORY, isServed: true }]);
  await expect(store.remove(REPOSITORY)).rejects.toMatchObject({ code: 'conflict' });
  expect(await listInstalled(settings.cacheFolder)).toHaveLength(1);
  await expect(storeOf(settings).remove(REPOSITORY)).resolves.toMatchObject({ ids: [REPOSITORY] });
});

test('lists a served file that is not in the cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'firstlight-served-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { settings } = await installed();
  for (const part of [1, 2]) writeFileSync(join(folder, `big-Q8_0-0000${part}-of-00002.gguf`), 'x'.repeat(100 * part));
  const store = storeOf(settings, join(folder, 'big-Q8_0-00001-of-00002.gguf'));
  expect(await store.list()).toMatchObject([
    { isServed: true, format: 'gguf', sizeBytes: 300, error: { code: 'model_file_invalid' } },
    { id: REPOSITORY, isServed: false },
  ]);
});
