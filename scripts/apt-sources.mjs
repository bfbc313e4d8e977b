// Reads apt's source lists (deb822 and one-line) and derives the backports entry from the one that the system uses.

/**
 * One enabled binary-package entry of apt's sources.
 * @typedef {{ uris: string[], suites: string[], components: string[], options: Record<string, string> }} AptSource
 */

/** Options that say how an archive is trusted or mirrored, and so hold for its backports too. */
const INHERITED_OPTIONS = ['Signed-By', 'Trusted', 'Architectures', 'Check-Valid-Until', 'Allow-Insecure'];

/** One-line option names whose deb822 field is not just the capitalised name (sources.list(5)). */
const ONE_LINE_FIELDS = new Map([
  ['arch', 'Architectures'],
  ['lang', 'Languages'],
  ['target', 'Targets'],
]);

/** @param {string} text @returns {string[]} */
const words = (text) => text.split(/\s+/).filter(Boolean);

/** @param {string} name @returns {string} */
const capitalised = (name) => name.replace(/(^|-)([a-z])/g, (_, dash, letter) => dash + letter.toUpperCase());

/**
 * Parses a `.sources` file. A field's continuation lines keep their line breaks, as an embedded Signed-By key needs.
 * @param {string} text
 * @returns {AptSource[]}
 */
export const parseDeb822Sources = (text) => {
  const lines = text.split(/\r?\n/).filter((line) => !line.startsWith('#'));
  const stanzas = lines.join('\n').split(/\n[ \t]*(?:\n[ \t]*)*\n/);
  /** @type {AptSource[]} */
  const sources = [];
  for (const stanza of stanzas) {
    /** @type {Map<string, string>} */
    const fields = new Map();
    let field = '';
    for (const line of stanza.split('\n')) {
      const start = /^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/.exec(line);
      if (start?.[1] !== undefined) {
        field = start[1].toLowerCase();
        fields.set(field, start[2] ?? '');
      } else if (field && /^[ \t]/.test(line)) {
        fields.set(field, `${fields.get(field) ?? ''}\n${line}`);
      }
    }
    const enabled = !/^(no|false|0|off|without|disable)$/i.test((fields.get('enabled') ?? 'yes').trim());
    if (!enabled || !words(fields.get('types') ?? '').includes('deb')) continue;
    /** @type {Record<string, string>} */
    const options = {};
    for (const name of INHERITED_OPTIONS) {
      const value = fields.get(name.toLowerCase());
      if (value !== undefined) options[name] = value;
    }
    sources.push({
      uris: words(fields.get('uris') ?? ''),
      suites: words(fields.get('suites') ?? ''),
      components: words(fields.get('components') ?? ''),
      options,
    });
  }
  return sources;
};

/**
 * Parses a `.list` file: `deb [option=value …] uri suite component…`.
 * @param {string} text
 * @returns {AptSource[]}
 */
export const parseOneLineSources = (text) => {
  /** @type {AptSource[]} */
  const sources = [];
  for (const line of text.split(/\r?\n/)) {
    const entry = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^#]+)/.exec(line);
    if (!entry) continue;
    const [uri, suite, ...components] = words(entry[2] ?? '');
    if (uri === undefined || suite === undefined) continue;
    /** @type {Record<string, string>} */
    const options = {};
    for (const option of words(entry[1] ?? '')) {
      const [name = '', value = ''] = option.split(/=(.*)/s);
      const field = ONE_LINE_FIELDS.get(name.toLowerCase()) ?? capitalised(name.toLowerCase());
      if (INHERITED_OPTIONS.includes(field)) options[field] = value.replaceAll(',', ' ');
    }
    sources.push({ uris: [uri], suites: [suite], components, options });
  }
  return sources;
};

/**
 * The distribution's own archive: other archives use its suite and component names too, so its keyring, its path
 * and the company of an `-updates` suite decide.
 * @param {readonly AptSource[]} sources
 * @param {string} codename
 * @returns {AptSource | undefined}
 */
export const mainArchive = (sources, codename) => {
  /** @param {AptSource} source */
  const score = (source) => {
    const uri = source.uris[0] ?? '';
    const hasUpdates = sources.some((other) => other.uris[0] === uri && other.suites.includes(`${codename}-updates`));
    const isSignedByDebian = /debian-archive/.test(source.options['Signed-By'] ?? '');
    const path = uri.replace(/^[a-z0-9+-]+:(\/\/[^/]*)?/i, '');
    return (isSignedByDebian ? 4 : 0) + (hasUpdates ? 2 : 0) + (/\bdebian\b/.test(path) ? 1 : 0);
  };
  const candidates = sources.filter((source) => source.suites.includes(codename) && source.components.includes('main'));
  return candidates.sort((a, b) => score(b) - score(a))[0];
};

/**
 * @param {readonly AptSource[]} sources
 * @param {string} codename
 * @returns {boolean}
 */
export const hasBackports = (sources, codename) =>
  sources.some((source) => source.suites.includes(`${codename}-backports`) && source.components.includes('main'));

/**
 * A deb822 stanza.
 * @param {AptSource} source
 * @returns {string}
 */
export const formatSource = (source) => {
  const fields = [
    'Types: deb',
    `URIs: ${source.uris.join(' ')}`,
    `Suites: ${source.suites.join(' ')}`,
    `Components: ${source.components.join(' ')}`,
    ...Object.entries(source.options).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${fields.map((field) => field.trimEnd()).join('\n')}\n`;
};

/**
 * The backports entry beside the main archive: same URI, same key.
 * @param {readonly AptSource[]} sources
 * @param {string} codename
 * @returns {AptSource | undefined} undefined when apt has no entry for the distribution itself
 */
export const backportsSource = (sources, codename) => {
  const archive = mainArchive(sources, codename);
  return archive && { ...archive, suites: [`${codename}-backports`], components: ['main'] };
};
