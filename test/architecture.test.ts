/** The architecture as a test: who may import whom, what a file may be called, and what comes in fours. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

interface Import {
  readonly from: string;
  /** A path from the repository's root, or a package's name. */
  readonly to: string;
  readonly isTypeOnly: boolean;
}

/** Allowed edges: first pattern that matches the importing file; `types` are for `import type` alone. */
const EDGES: readonly { from: RegExp; values: RegExp; types?: RegExp }[] = [
  { from: /^src\/runtime\/(api|api-cache|errors)\.ts$/, values: /^$/, types: /^src\/runtime\/api-cache\.ts$/ },
  { from: /^src\/runtime\/(scheduler|sequence|kv\/block-pool)\.ts$/, values: /^src\/runtime\// },
  { from: /^src\/server\//, values: /^src\/(server\/|runtime\/(api|config|errors|sampling)\.ts)/ },
  { from: /^src\/runtime\//, values: /^src\/(runtime|kernels|workers)\// },
  { from: /^src\/web\//, values: /^src\/(web\/|client\/index\.ts)/ },
  { from: /^src\/client\//, values: /^src\/client\//, types: /^src\/runtime\/api\.ts$/ },
  { from: /^src\/hub\//, values: /^src\/(hub\/|runtime\/errors\.ts)/ },
  { from: /^src\/kernels\//, values: /^src\/(kernels\/|runtime\/errors\.ts)/, types: /^src\/runtime\/api\.ts$/ },
  { from: /^src\/workers\//, values: /^src\/(workers\/|runtime\/errors\.ts)/, types: /^src\/runtime\/api\.ts$/ },
  { from: /^src\/([^/]+\.ts$|cli\/)/, values: /^src\// },
];

/** How many files may import what is better kept behind one door. */
const IMPORTERS: Record<string, number> = { webgpu: 1, 'uWebSockets.js': 2, piscina: 2 };

const VAGUE_NAME =
  /^(data|info|types?)$|(^|-)(utils?|helpers?|common|misc|managers?|handlers?|(?<!logits-)processors?)(-|$)/;
const MAX_LINES = 400;

const IMPORT = /(?:^|[\n;])\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/g;

const filesUnder = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
    : [];

const sources = filesUnder('src').filter((file) => file.endsWith('.ts'));
const textOf = (file: string): string => readFileSync(file, 'utf8');

const imports: readonly Import[] = sources.flatMap((from) =>
  [...textOf(from).matchAll(IMPORT)].map(([, type, target, dynamic]) => {
    const specifier = target ?? dynamic ?? '';
    const to = specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : specifier;
    return { from, to, isTypeOnly: type !== undefined };
  }),
);

test('every import follows an allowed edge', () => {
  expect(imports.length).toBeGreaterThan(0);
  const forbidden = imports.filter(({ from, to, isTypeOnly }) => {
    const edge = EDGES.find((candidate) => candidate.from.test(from));
    if (!edge) return true;
    return to.startsWith('src/') && !edge.values.test(to) && !(isTypeOnly && edge.types?.test(to));
  });
  expect(forbidden).toEqual([]);
});

test('the hub client needs nothing but Node', () => {
  const packages = imports.filter(({ from, to }) => from.startsWith('src/hub/') && !/^(src\/|node:)/.test(to));
  expect(packages).toEqual([]);
});

test('the client for browsers and the page need neither Node nor a package', () => {
  const others = imports.filter(({ from, to }) => /^src\/(client|web)\//.test(from) && !to.startsWith('src/'));
  expect(others).toEqual([]);
});

test.each(Object.entries(IMPORTERS))('%s has at most %d importers', (name, limit) => {
  const importers = new Set(imports.filter(({ to }) => to === name).map(({ from }) => from));
  expect(importers.size, [...importers].join(', ')).toBeLessThanOrEqual(limit);
});

test('only config.ts reads the environment', () => {
  const readers = sources.filter((file) => /process\.env|\benv\b[^'"\n]*from 'node:process'/.test(textOf(file)));
  expect(readers.filter((file) => file !== 'src/runtime/config.ts')).toEqual([]);
});

test('file names are kebab-case and say what is inside', () => {
  const files = ['src', 'shaders', 'test', 'bench', 'scripts'].flatMap(filesUnder);
  const nameParts = (file: string) => file.replace(/(\.(test|d))?\.\w+$/, '').split('/');
  const vague = files.filter((file) => nameParts(file).some((part) => VAGUE_NAME.test(part)));
  expect(vague).toEqual([]);
  expect(sources.filter((file) => !/^[a-z0-9/-]+\.ts$/.test(file))).toEqual([]);
});

test(`no source file is longer than ${MAX_LINES} lines`, () => {
  const long = sources.map((file) => [file, textOf(file).split('\n').length - 1] as const);
  expect(long.filter(([, numLines]) => numLines > MAX_LINES)).toEqual([]);
});

test('a kernel has one name in four places: source, shader, test and bench', () => {
  const kernels = filesUnder('src/kernels')
    .filter((file) => dirname(file) === 'src/kernels')
    .map((file) => basename(file, '.ts'))
    .filter((name) => existsSync(`shaders/${name}.wgsl`));
  const missing = kernels
    .flatMap((name) => [`test/kernels/${name}.test.ts`, `bench/kernels/${name}.ts`])
    .filter((file) => !existsSync(file));
  expect(missing).toEqual([]);
});
