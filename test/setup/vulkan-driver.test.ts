import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseOneLineSources } from '../../scripts/apt-sources.mjs';
import {
  commandsFor,
  distributionSources,
  parseOsRelease,
  planDriver,
  readAptSources,
} from '../../scripts/vulkan-driver.mjs';

const BOOKWORM = parseOneLineSources(`deb http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb http://security.example/debian-security bookworm-security main
deb https://apt.vendor.example bookworm main`);

test('Debian 12 gets the driver from backports, which are added', () => {
  const plan = planDriver('bookworm', BOOKWORM);
  expect(plan.sourceFile?.path).toBe('/etc/apt/sources.list.d/firstlight-backports.sources');
  expect(plan.sourceFile?.text).toContain('Suites: bookworm-backports');
  expect(plan.installArguments).toEqual(expect.arrayContaining(['-t', 'bookworm-backports', 'mesa-vulkan-drivers']));
});

test('backports that are there already are left as they are', () => {
  const sources = [...BOOKWORM, ...parseOneLineSources('deb http://mirror.example/debian bookworm-backports main')];
  const plan = planDriver('bookworm', sources);
  expect(plan.sourceFile).toBeUndefined();
  expect(plan.installArguments).toContain('bookworm-backports');
});

test.each(['trixie', 'noble', ''])('release "%s" gets its own driver', (codename) => {
  const plan = planDriver(codename, []);
  expect(plan.sourceFile).toBeUndefined();
  expect(plan.installArguments).not.toContain('-t');
});

test('says what is missing when apt has no entry to derive backports from', () => {
  expect(() => planDriver('bookworm', [])).toThrow(/no entry for bookworm main/);
});

test('who is not root is told commands that can be pasted', () => {
  const lines = commandsFor(planDriver('bookworm', BOOKWORM)).split('\n');
  expect(lines[0]).toBe("sudo tee /etc/apt/sources.list.d/firstlight-backports.sources >/dev/null <<'END'");
  expect(lines).toContain('URIs: http://mirror.example/debian');
  expect(lines.indexOf('END')).toBeLessThan(lines.indexOf('sudo apt-get update'));
  expect(lines.at(-1)).toMatch(/^sudo apt-get install .* mesa-vulkan-drivers libvulkan1$/);
  expect(commandsFor(planDriver('trixie', []))).not.toContain('tee');
});

test("the distribution's own sources are told from other people's", () => {
  const uris = distributionSources(BOOKWORM, 'bookworm').map((source) => source.uris[0]);
  expect(new Set(uris)).toEqual(new Set(['http://mirror.example/debian', 'http://security.example/debian-security']));
});

test('reads the files that apt reads, in both formats, and no others', () => {
  const etcApt = mkdtempSync(join(tmpdir(), 'firstlight-test-'));
  onTestFinished(() => rmSync(etcApt, { recursive: true }));
  expect(readAptSources(etcApt)).toEqual([]);
  mkdirSync(join(etcApt, 'sources.list.d'));
  writeFileSync(join(etcApt, 'sources.list'), 'deb http://one.example/debian bookworm main\n');
  writeFileSync(join(etcApt, 'sources.list.d', 'a.list'), 'deb http://two.example/debian bookworm main\n');
  writeFileSync(join(etcApt, 'sources.list.d', 'b.list.disabled'), 'deb http://three.example/debian bookworm main\n');
  const stanza = 'Types: deb\nURIs: http://four.example/debian\nSuites: bookworm\nComponents: main\n';
  writeFileSync(join(etcApt, 'sources.list.d', 'c.sources'), stanza);
  expect(readAptSources(etcApt).map((source) => source.uris[0])).toEqual([
    'http://one.example/debian',
    'http://two.example/debian',
    'http://four.example/debian',
  ]);
});

test('reads quoted and plain values of os-release', () => {
  const release = parseOsRelease(
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n',
  );
  expect(release).toMatchObject({ VERSION_CODENAME: 'bookworm', PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)' });
});
