/** Names of models, settings from the environment, paths from outside, sets of byte ranges. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ByteRanges } from '../../src/hub/byte-ranges.ts';
import { formatModelName, parseModelName, requireModelName } from '../../src/hub/model-name.ts';
import { isSafePath } from '../../src/hub/safe-path.ts';
import { hubSettings } from '../../src/hub/settings.ts';

const NOTHING = { quantization: undefined, file: undefined, revision: 'main' };

test.each([
  ['org/name', { repository: 'org/name' }],
  ['Qwen/Qwen2.5-0.5B-Instruct-GGUF', { repository: 'Qwen/Qwen2.5-0.5B-Instruct-GGUF' }],
  ['org/name:q4_k_m', { repository: 'org/name', quantization: 'Q4_K_M' }],
  ['org/name:UD-Q4_K_XL', { repository: 'org/name', quantization: 'UD-Q4_K_XL' }],
  ['org/name:fp16', { repository: 'org/name', quantization: 'F16' }],
  ['org/name:sub/dir/m-Q8_0.gguf', { repository: 'org/name', file: 'sub/dir/m-Q8_0.gguf' }],
  ['org/name@v1.2', { repository: 'org/name', revision: 'v1.2' }],
  ['org/name:Q8_0@refs/pr/7', { repository: 'org/name', quantization: 'Q8_0', revision: 'refs/pr/7' }],
])('reads %s, and writes it so that it is read the same', (text, parts) => {
  const name = requireModelName(text);
  expect(name).toEqual({ ...NOTHING, ...parts });
  expect(parseModelName(formatModelName(name))).toEqual(name);
});

test.each([
  '',
  'name',
  './org/name',
  '/org/name',
  'a/b/c',
  'models/tiny.gguf',
  'folder/model.safetensors',
  'scripted:a/b',
  'org/na--me',
  'org/..',
  '../name',
  'org/name:',
  'org/name@',
  'org/name@../x',
  'org/name:../x.gguf',
  'org/name:/x.gguf',
  'C:\\models\\x',
  'https://example.org/x',
])('takes %j for something else', (text) => {
  expect(parseModelName(text)).toBeUndefined();
  expect(() => requireModelName(text)).toThrow(/names no model on the hub; allowed: ORG\/NAME/);
});

test.each(['a', 'a/b.gguf', '.gitattributes', 'a b/c'])('lets %j lie below a folder', (path) => {
  expect(isSafePath(path)).toBe(true);
});

test.each(['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a\\b', 'C:a', 'a\0', 'a\n', 'a.', 'a /b', '...'])(
  'keeps %j from becoming a path',
  (path) => {
    expect(isSafePath(path)).toBe(false);
  },
);

test('keeps ranges sorted and joined, and finds the gaps', () => {
  const ranges = new ByteRanges([
    [50, 60],
    [10, 20],
  ]);
  ranges.add(20, 30);
  ranges.add(55, 70);
  ranges.add(5, 5);
  expect(ranges.ranges).toEqual([
    [10, 30],
    [50, 70],
  ]);
  expect(ranges.numBytes).toBe(40);
  expect(ranges.gaps(100)).toEqual([
    [0, 10],
    [30, 50],
    [70, 100],
  ]);
  ranges.add(0, 100);
  expect(ranges.gaps(100)).toEqual([]);
});

test('holds what a set of bytes holds, however ranges come', () => {
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
  for (let round = 0; round < 50; round++) {
    const ranges = new ByteRanges();
    const bytes = new Set<number>();
    for (let step = 0; step < 12; step++) {
      const start = random(60);
      const end = start + random(12);
      ranges.add(start, end);
      for (let byte = start; byte < end; byte++) bytes.add(byte);
      expect(ranges.numBytes).toBe(bytes.size);
      const missing = ranges.gaps(80).flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
      expect(missing).toEqual(Array.from({ length: 80 }, (_, byte) => byte).filter((byte) => !bytes.has(byte)));
    }
  }
});

const folderWith = (token: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'firstlight-hub-home-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'token'), token);
  return folder;
};

test('keeps files where the hub’s own tools do', () => {
  const cache = (environment: Record<string, string>) => hubSettings({ HF_TOKEN: 'hf_x', ...environment }).cacheFolder;
  expect(cache({})).toBe(join(homedir(), '.cache', 'huggingface', 'hub'));
  expect(cache({ XDG_CACHE_HOME: '/c' })).toBe(join('/c', 'huggingface', 'hub'));
  expect(cache({ HF_HOME: '~/hf' })).toBe(join(homedir(), 'hf', 'hub'));
  expect(cache({ HF_HOME: '/hf', XDG_CACHE_HOME: '/c' })).toBe(join('/hf', 'hub'));
  expect(cache({ HF_HUB_CACHE: '/disk', HF_HOME: '/hf' })).toBe('/disk');
  expect(cache({ HF_HOME: '' })).toBe(join(homedir(), '.cache', 'huggingface', 'hub'));
});

test('takes the token from HF_TOKEN, else from the token file', () => {
  const home = folderWith('hf_stored\n');
  expect(hubSettings({ HF_HOME: home }).token).toBe('hf_stored');
  expect(hubSettings({ HF_HOME: home, HF_TOKEN: ' hf_given ' }).token).toBe('hf_given');
  expect(hubSettings({ HF_HOME: '/none', HF_TOKEN_PATH: join(home, 'token') }).token).toBe('hf_stored');
  expect(hubSettings({ HF_HOME: '/none' }).token).toBeUndefined();
  expect(hubSettings({ HF_HOME: folderWith('') }).token).toBeUndefined();
});

test('refuses a token that cannot be one, without showing it', () => {
  expect(() => hubSettings({ HF_TOKEN: 'two words' })).toThrow(/^HF_TOKEN: the token \(not shown\)/);
});

test('asks the endpoint that HF_ENDPOINT names', () => {
  const endpoint = (value: string) => hubSettings({ HF_TOKEN: 'x', HF_ENDPOINT: value }).endpoint;
  expect(endpoint('')).toBe('https://huggingface.co');
  expect(endpoint('http://mirror.example:8080/hub/')).toBe('http://mirror.example:8080/hub');
  for (const wrong of ['mirror.example', 'ftp://mirror.example', 'https://user@mirror.example', 'https://a/?b=c']) {
    expect(() => endpoint(wrong)).toThrow(/HF_ENDPOINT: .* is not allowed; allowed: an http or https URL/);
  }
});

test.each([
  ['1', true],
  ['true', true],
  ['0', false],
  ['', false],
])('reads HF_HUB_OFFLINE=%j as %s', (value, isOffline) => {
  expect(hubSettings({ HF_TOKEN: 'x', HF_HUB_OFFLINE: value }).isOffline).toBe(isOffline);
});
