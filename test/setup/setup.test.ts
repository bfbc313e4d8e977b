import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { buildMarker, sourceHash } from '../../scripts/build.mjs';
import {
  buildIsCurrent,
  checkNodeVersion,
  dependenciesAreCurrent,
  isInstalledPackage,
  matchesLock,
  needsAdapter,
} from '../../scripts/setup.mjs';

const lockfile = (packages: Record<string, object>) => JSON.stringify({ packages: { '': { name: 'x' }, ...packages } });

/** A folder with these files, gone after the test. */
const folderWith = (files: Record<string, string>): string => {
  const root = mkdtempSync(join(tmpdir(), 'firstlight-test-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
};

test.each(['20.19.0', '20.20.2', '22.0.0', '26.10.0'])('Node %s will do', (version) => {
  expect(() => checkNodeVersion(version, '>=20.19')).not.toThrow();
});

test.each(['18.20.8', '20.18.3'])('Node %s is refused by name', (version) => {
  expect(() => checkNodeVersion(version, '>=20.19')).toThrow(`Node ${version} is too old: Firstlight needs >=20.19`);
});

test('an install has to match the lockfile, save for optional packages of other platforms', () => {
  const lock = lockfile({
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b-darwin': { version: '1.0.0', integrity: 'sha512-b', optional: true },
  });
  const a = { version: '1.0.0', integrity: 'sha512-a' };
  expect(matchesLock(lock, lockfile({ 'node_modules/a': a }))).toBe(true);
  expect(matchesLock(lock, lockfile({ 'node_modules/a': { ...a, version: '1.0.1' } }))).toBe(false);
  expect(matchesLock(lock, lockfile({ 'node_modules/a': { ...a, integrity: 'sha512-x' } }))).toBe(false);
  expect(matchesLock(lock, lockfile({}))).toBe(false);
});

test('dependencies are stale when missing, accepted when installed by hand, and stale again when the lockfile changes', () => {
  const entry = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };
  const root = folderWith({ 'package-lock.json': lockfile(entry) });
  expect(dependenciesAreCurrent(root)).toBe(false);
  mkdirSync(join(root, 'node_modules'));
  expect(dependenciesAreCurrent(root)).toBe(false);
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), lockfile(entry));
  expect(dependenciesAreCurrent(root)).toBe(true);
  rmSync(join(root, 'node_modules', '.package-lock.json'));
  expect(dependenciesAreCurrent(root), 'remembered by its mark').toBe(true);
  writeFileSync(join(root, 'package-lock.json'), lockfile({ ...entry, 'node_modules/b': { version: '1.0.0' } }));
  expect(dependenciesAreCurrent(root)).toBe(false);
});

test('a build is stale when a source is added, changed or removed', () => {
  const files = { 'src/a.ts': 'a', 'src/deep/b.ts': 'b', 'tsconfig.json': '{}', 'tsconfig.build.json': '{}' };
  const root = folderWith({ ...files, 'package.json': '{}' });
  const markBuilt = () => {
    mkdirSync(join(root, 'dist'), { recursive: true });
    writeFileSync(buildMarker(root), sourceHash(root));
  };
  expect(buildIsCurrent(root), 'no build').toBe(false);
  markBuilt();
  expect(buildIsCurrent(root)).toBe(true);
  writeFileSync(join(root, 'src/deep/b.ts'), 'changed');
  expect(buildIsCurrent(root), 'changed').toBe(false);
  markBuilt();
  writeFileSync(join(root, 'src/c.ts'), '');
  expect(buildIsCurrent(root), 'added').toBe(false);
  markBuilt();
  rmSync(join(root, 'src/c.ts'));
  expect(buildIsCurrent(root), 'removed').toBe(false);
});

test('a published package has nothing to build or to install', () => {
  expect(buildIsCurrent(folderWith({ 'package.json': '{}' }))).toBe(true);
  expect(isInstalledPackage(join('home', 'me', 'app', 'node_modules', 'firstlight'))).toBe(true);
  expect(isInstalledPackage(join('home', 'me', 'firstlight'))).toBe(false);
});

test.each([
  ['serve', true],
  ['serve --port 9000', true],
  ['doctor', true],
  ['serve --help', false],
  ['--version', false],
  ['', false],
  ['serv', false],
  ['serve --model scripted:replies.json', false],
  ['serve --model=scripted:replies.json', false],
  ['launch claude', true],
  ['launch claude -- --help --model scripted:theirs.json', true],
  ['launch codex --url http://127.0.0.1:8080', false],
])('"%s" needs an adapter: %s', (line, needed) => {
  expect(needsAdapter(line.split(' ').filter(Boolean), {})).toBe(needed);
});

test('a scripted model needs no adapter wherever it is named: flags before the environment before the file', () => {
  const root = folderWith({
    'scripted.yaml': 'port: 0\nmodel: "scripted:replies.json"\n',
    'gpu.yaml': 'model: m.gguf\n',
  });
  const scripted = { FIRSTLIGHT_MODEL: 'scripted:replies.json' };
  expect(needsAdapter(['serve'], scripted)).toBe(false);
  expect(needsAdapter(['serve', '--model', 'm.gguf'], scripted)).toBe(true);
  expect(needsAdapter(['doctor'], scripted)).toBe(true);
  expect(needsAdapter(['serve', '--config', join(root, 'scripted.yaml')], {})).toBe(false);
  expect(needsAdapter(['serve'], { FIRSTLIGHT_CONFIG: join(root, 'scripted.yaml') })).toBe(false);
  expect(needsAdapter(['serve', `--config=${join(root, 'gpu.yaml')}`], {})).toBe(true);
  expect(needsAdapter(['serve', '--config', join(root, 'scripted.yaml')], { FIRSTLIGHT_MODEL: 'm.gguf' })).toBe(true);
  expect(needsAdapter(['serve', '--config', join(root, 'missing.yaml')], {})).toBe(true);
});

test('no registry, mirror or other host is written into set-up', () => {
  const files = ['setup', 'vulkan-driver', 'apt-sources', 'build', 'progress', 'probe-adapter'];
  for (const name of files) expect(readFileSync(`scripts/${name}.mjs`, 'utf8')).not.toMatch(/https?:\/\//);
});
