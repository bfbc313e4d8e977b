// Compiles src/ to dist/: with Node's types, then the chat page with the browser's. The shaders are read from shaders/ at
// run time; of src/ only the page's own HTML, CSS and SVG are copied.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * What a build depends on, as one hash.
 * @param {string} root
 * @returns {string}
 */
export const sourceHash = (root) => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|json|html|css|svg)$/.test(name))
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
 * @param {string} root
 * @param {string} project its tsconfig, from the root
 * @param {string} outDir
 * @returns {number} the compiler's exit status
 */
const compile = (root, project, outDir) => {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', outDir], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  return status ?? 1;
};

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
    for (const project of ['tsconfig.build.json', join('src', 'web', 'tsconfig.build.json')]) {
      const status = compile(root, project, fresh);
      if (status !== 0) return status;
    }
    for (const name of readdirSync(join(root, 'src', 'web')).filter((file) => /\.(html|css|svg)$/.test(file)))
      copyFileSync(join(root, 'src', 'web', name), join(fresh, 'web', name));
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
