// Compiles src/ to dist/. The shaders are read from shaders/ at run time, so nothing else has to be copied.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * What a build depends on, as one hash.
 * @param {string} root
 * @returns {string}
 */
export const sourceHash = (root) => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|json)$/.test(name))
    .map((name) => join('src', name));
  const hash = createHash('sha256');
  for (const name of [...sources.sort(), 'tsconfig.json', 'tsconfig.build.json', 'package.json']) {
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(root, name)))
      .update('\0');
  }
  return hash.digest('hex');
};

/** @param {string} root @returns {string} the file that tells what sources dist/ was built from */
export const buildMarker = (root) => join(root, 'dist', '.source-hash');

/**
 * Builds beside dist/ and swaps it in whole, so that nobody sees half a build.
 * @param {string} root
 * @returns {number} the compiler's exit status
 */
const build = (root) => {
  const hash = sourceHash(root);
  const scratch = join(root, '.firstlight', `build-${process.pid}`);
  const [fresh, old] = [join(scratch, 'fresh'), join(scratch, 'old')];
  mkdirSync(scratch, { recursive: true });
  try {
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', fresh], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    if (status !== 0) return status ?? 1;
    writeFileSync(join(fresh, '.source-hash'), hash);
    if (existsSync(join(root, 'dist'))) renameSync(join(root, 'dist'), old);
    renameSync(fresh, join(root, 'dist'));
    return 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = build(fileURLToPath(new URL('..', import.meta.url)));
