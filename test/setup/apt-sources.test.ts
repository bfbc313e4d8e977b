import { expect, test } from 'vitest';
import {
  backportsSource,
  formatSource,
  hasBackports,
  mainArchive,
  parseDeb822Sources,
  parseOneLineSources,
} from '../../scripts/apt-sources.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

const DEB822 = `Types: deb
# a comment between fields
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: ${KEYRING}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${KEYRING}
`;

/** The stanza that set-up would write for one file of sources. */
const stanzaFor = (sources: ReturnType<typeof parseDeb822Sources>): string | undefined => {
  const backports = backportsSource(sources, 'bookworm');
  return backports && formatSource(backports);
};

test('takes the address and the key of a deb822 entry, and leaves the security archive', () => {
  expect(stanzaFor(parseDeb822Sources(DEB822))).toBe(
    `Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
});

test('takes the address of a one-line entry with options, comments and further components', () => {
  const text = `# deb http://old.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64,arm64 signed-by=${KEYRING}] http://mirror.example/debian bookworm main contrib # ours
deb http://security.example/debian-security bookworm-security main`;
  expect(stanzaFor(parseOneLineSources(text))).toBe(
    'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\n' +
      `Architectures: amd64 arm64\nSigned-By: ${KEYRING}\n`,
  );
});

test('an entry without a key gives a stanza without one', () => {
  expect(stanzaFor(parseOneLineSources('deb http://mirror.example/debian bookworm main'))).not.toContain('Signed-By');
});

test('passes mirror lists through', () => {
  const uri = 'mirror+file:///etc/apt/mirrors/debian.list';
  expect(stanzaFor(parseDeb822Sources(DEB822.replace('http://mirror.example/debian\n', `${uri}\n`)))).toContain(
    `URIs: ${uri}\n`,
  );
});

test('keeps a key that is written into the entry', () => {
  const key = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----';
  const sources = parseDeb822Sources(DEB822.replaceAll(` ${KEYRING}`, key));
  expect(stanzaFor(sources)).toContain(`${key}\n`);
  const backports = backportsSource(sources, 'bookworm');
  expect(parseDeb822Sources(backports ? formatSource(backports) : '')).toEqual([backports]);
});

test('ignores disabled entries', () => {
  expect(parseDeb822Sources(`Enabled: no\n${DEB822}`)).toHaveLength(1);
  expect(parseOneLineSources('#deb http://mirror.example/debian bookworm main\n\n  # x')).toEqual([]);
});

test('other archives that use the same suite and component names are not taken for the distribution', () => {
  const sources = parseOneLineSources(`deb [signed-by=/k.gpg] https://apt.vendor.example bookworm main
deb https://packages.example/debian bookworm main
deb http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb [arch=amd64] https://download.example/linux/debian bookworm stable`);
  expect(mainArchive(sources, 'bookworm')?.uris).toEqual(['http://mirror.example/debian']);
});

test('a mirror at the root of its host will do when it is the only one', () => {
  const sources = parseOneLineSources('deb http://mirror.example bookworm main');
  expect(mainArchive(sources, 'bookworm')?.uris).toEqual(['http://mirror.example']);
});

test('sees backports in either format, but not when they are switched off', () => {
  const line = 'deb http://mirror.example/debian bookworm-backports main';
  expect(hasBackports(parseOneLineSources(line), 'bookworm')).toBe(true);
  expect(hasBackports(parseOneLineSources(`# ${line}`), 'bookworm')).toBe(false);
  const stanza = DEB822.replace('bookworm-updates', 'bookworm-backports');
  expect(hasBackports(parseDeb822Sources(stanza), 'bookworm')).toBe(true);
  expect(hasBackports(parseDeb822Sources(stanza.replace('URIs', 'Enabled: false\nURIs')), 'bookworm')).toBe(false);
});

test('survives lines that are no entries', () => {
  expect(parseOneLineSources('deb\ndeb [x\ndeb http://only.example')).toEqual([]);
  expect(parseDeb822Sources('nonsense\n\n: :\n')).toEqual([]);
});
