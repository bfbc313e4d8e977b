// Makes a checkout ready to run: dependencies, WebGPU adapter, build. Needs nothing but Node; skips what is done.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildMarker, sourceHash } from './build.mjs';
import { lastLines, run, SetupError, say, withProgress } from './progress.mjs';
import { installVulkanDriver } from './vulkan-driver.mjs';

export { SetupError };

/** @typedef {{ vendor: string, architecture: string, device: string, description: string }} AdapterInfo */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** @param {string} path @returns {string | undefined} */
const readIfThere = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

/** @param {string} text @returns {string} */
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/**
 * @param {string} version as in `process.versions.node`
 * @param {string} range `>=major.minor`, from package.json
 * @throws {SetupError}
 */
export const checkNodeVersion = (version, range) => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = range.replace('>=', '').split('.').map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new SetupError(
    `Node ${version} is too old: Firstlight needs ${range}. Install a newer Node, then run this again.`,
  );
};

/** @param {string} root @returns {boolean} whether the package lies in somebody's node_modules, who installed it whole */
export const isInstalledPackage = (root) => root.split(sep).includes('node_modules');

/**
 * Whether npm's record of what it installed has all that the lockfile asks for; optional packages may be absent.
 * @param {string} lockText package-lock.json
 * @param {string} installedText node_modules/.package-lock.json
 * @returns {boolean}
 */
export const matchesLock = (lockText, installedText) => {
  const wanted = JSON.parse(lockText).packages;
  const installed = JSON.parse(installedText).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (!found) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
};

/** @param {string} root */
const lockMarker = (root) => join(root, 'node_modules', '.firstlight', 'lock.sha256');

/** @param {string} path @param {string} text */
const writeMarker = (path, text) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
};

/**
 * Whether node_modules holds what the lockfile says. An install made by hand counts, and is marked.
 * @param {string} root
 * @returns {boolean}
 */
export const dependenciesAreCurrent = (root) => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const hash = sha256(lock);
  if (readIfThere(lockMarker(root)) === hash) return true;
  const installed = readIfThere(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined || !matchesLock(lock, installed)) return false;
  writeMarker(lockMarker(root), hash);
  return true;
};

/** @param {string} root */
const installDependencies = async (root) => {
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, output } = await withProgress('installing dependencies (npm ci)', () =>
    run('npm', args, { cwd: root, shell: process.platform === 'win32' }),
  );
  if (code !== 0) throw new SetupError(`npm ci failed (exit ${code}):\n${lastLines(output)}`);
  writeMarker(lockMarker(root), sha256(readFileSync(join(root, 'package-lock.json'), 'utf8')));
};

/** @param {string} root @returns {boolean} whether dist/ was built from the sources as they are; true without sources */
export const buildIsCurrent = (root) =>
  !existsSync(join(root, 'src')) || readIfThere(buildMarker(root)) === sourceHash(root);

/** @param {string} root */
const build = async (root) => {
  const { code, output } = await withProgress('building', () =>
    run(process.execPath, [join(root, 'scripts', 'build.mjs')], { cwd: root }),
  );
  if (code !== 0) throw new SetupError(`the build failed (exit ${code}):\n${lastLines(output)}`);
};

const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES', 'VK_LOADER_DRIVERS_SELECT'];

/** Where the Vulkan loader and its drivers' descriptions lie on Linux; one of them changes when a driver comes or goes. */
const driverPlaces = () => [
  ...['/etc', '/usr/share', '/usr/local/share', `${homedir()}/.local/share`].map((place) => `${place}/vulkan/icd.d`),
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'].map(
    (place) => `${place}/libvulkan.so.1`,
  ),
];

/** @returns {string} all that an adapter once found depends on */
const adapterKey = () => {
  const webgpu = dirname(createRequire(import.meta.url).resolve('webgpu'));
  return JSON.stringify({
    webgpu: JSON.parse(readFileSync(join(webgpu, 'package.json'), 'utf8')).version,
    platform: `${process.platform}-${process.arch}`,
    environment: DRIVER_VARIABLES.map((name) => process.env[name] ?? null),
    places: driverPlaces().map((place) => statSync(place, { throwIfNoEntry: false })?.mtimeMs ?? null),
  });
};

/**
 * Looks for an adapter in a process of its own.
 * @returns {Promise<{ adapter: AdapterInfo | null, complaint: string }>}
 */
const probeAdapter = async () => {
  const probe = fileURLToPath(new URL('probe-adapter.mjs', import.meta.url));
  const { code, stdout, output } = await withProgress('looking for a WebGPU adapter', () =>
    run(process.execPath, [probe]),
  );
  if (code !== 0) return { adapter: null, complaint: lastLines(output, 8) };
  return { adapter: JSON.parse(stdout), complaint: '' };
};

/**
 * Finds an adapter, installing a software Vulkan driver where there is none; remembers the one found.
 * @param {string} root
 * @throws {SetupError} when there is none and none can be installed
 */
const provideAdapter = async (root) => {
  const marker = join(root, 'node_modules', '.firstlight', 'adapter.json');
  const remembered = readIfThere(marker);
  if (remembered !== undefined && JSON.parse(remembered).key === adapterKey()) return;
  let { adapter, complaint } = await probeAdapter();
  if (!adapter) {
    refuseWhereNoDriverHelps(complaint);
    await installVulkanDriver();
    ({ adapter, complaint } = await probeAdapter());
    if (!adapter) {
      throw new SetupError(`the Vulkan driver is installed, but it offers no WebGPU adapter. ${complaint}`.trimEnd());
    }
  }
  say(`WebGPU adapter: ${adapter.description || adapter.device || adapter.vendor}`);
  try {
    writeMarker(marker, JSON.stringify({ key: adapterKey(), adapter }));
  } catch (error) {
    // A package installed by another user: the next start looks again, which costs a fraction of a second.
    if (!['EACCES', 'EROFS', 'EPERM'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')) throw error;
  }
};

/** @param {string} complaint the probe's last words */
const refuseWhereNoDriverHelps = (complaint) => {
  const chosen = DRIVER_VARIABLES.find((name) => process.env[name]);
  if (chosen) {
    throw new SetupError(
      `there is no WebGPU adapter with ${chosen}=${process.env[chosen]}. Correct or unset it, then run this again. ${complaint}`.trimEnd(),
    );
  }
  if (process.platform === 'linux') return;
  throw new SetupError(
    `there is no WebGPU adapter on this machine (${process.platform} ${process.arch}). ` +
      `Update the system and its graphics driver, then run this again. ${complaint}`.trimEnd(),
  );
};

/**
 * One set-up at a time changes a checkout; the others wait. A lock whose owner has died is taken over.
 * @param {string} root
 * @param {() => Promise<void>} work
 */
const withLock = async (root, work) => {
  const lock = join(root, '.firstlight', 'setup.lock');
  mkdirSync(dirname(lock), { recursive: true });
  const take = () => {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return true;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
      return false;
    }
  };
  if (!take()) {
    await withProgress('waiting for another set-up in this folder', async () => {
      while (!take()) {
        const owner = readIfThere(lock);
        if (owner !== undefined && !isAlive(Number(owner))) rmSync(lock, { force: true });
        else await sleep(200);
      }
    });
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
};

/** @param {number} pid 0 while the owner has not yet written its own @returns {boolean} */
const isAlive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
};

/** Commands that compute, and so need an adapter. */
const COMPUTING_COMMANDS = ['serve', 'chat', 'doctor', 'logits', 'bench', 'launch'];

/** @param {readonly string[]} argv @param {string} flag @returns {string | undefined} what the command line gives it */
const flagValue = (argv, flag) => {
  const at = argv.findLastIndex((argument) => argument === flag || argument.startsWith(`${flag}=`));
  return argv[at] === flag ? argv[at + 1] : argv[at]?.slice(flag.length + 1);
};

/**
 * Whether the command line, else the environment, else the configuration file names a scripted model.
 * @param {readonly string[]} argv
 * @param {Record<string, string | undefined>} environment
 */
const isScripted = (argv, environment) => {
  const model = flagValue(argv, '--model') ?? environment.FIRSTLIGHT_MODEL;
  if (model !== undefined) return model.startsWith('scripted:');
  const file = flagValue(argv, '--config') ?? environment.FIRSTLIGHT_CONFIG;
  // What cannot be read is told when the options are checked.
  if (file === undefined || !statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  return /^["']?model["']?\s*:\s*["']?scripted:/m.test(readFileSync(file, 'utf8'));
};

/**
 * Whether a command line needs an adapter: help, versions, mistakes and scripted models do not.
 * @param {readonly string[]} argv without node and the script
 * @param {Record<string, string | undefined>} [environment]
 * @returns {boolean}
 */
export const needsAdapter = (argv, environment = process.env) => {
  // What follows `--` is another program's.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const [command = ''] = own;
  if (!COMPUTING_COMMANDS.includes(command)) return false;
  if (own.some((argument) => ['--help', '-h', '--version', '-V'].includes(argument))) return false;
  // A client of a server that runs computes nothing here.
  if (command === 'launch' && flagValue(own, '--url') !== undefined) return false;
  return command === 'doctor' || !isScripted(own, environment);
};

/**
 * Does what is missing, in silence when nothing is.
 * @param {{ adapter: boolean, root?: string }} options adapter: also find one, installing a driver if need be
 * @throws {SetupError}
 */
export const setUp = async ({ adapter, root = ROOT }) => {
  checkNodeVersion(process.versions.node, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node);
  const isCheckout = !isInstalledPackage(root);
  if (isCheckout && !dependenciesAreCurrent(root)) {
    await withLock(root, async () => {
      if (!dependenciesAreCurrent(root)) await installDependencies(root);
    });
  }
  if (adapter) await provideAdapter(root);
  if (isCheckout && !buildIsCurrent(root)) {
    await withLock(root, async () => {
      if (!buildIsCurrent(root)) await build(root);
    });
  }
};

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await setUp({ adapter: !process.argv.includes('--without-adapter') });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
