// Installs a software Vulkan driver (Mesa's lavapipe) on Linux distributions that use apt.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  backportsSource,
  formatSource,
  hasBackports,
  mainArchive,
  parseDeb822Sources,
  parseOneLineSources,
} from './apt-sources.mjs';
import { lastLines, run, SetupError, say, withProgress } from './progress.mjs';

/** @typedef {import('./apt-sources.mjs').AptSource} AptSource */
/**
 * What has to be done to the system.
 * @typedef {object} DriverPlan
 * @property {{ path: string, text: string } | undefined} sourceFile an apt source that must be added first
 * @property {string[]} installArguments after `apt-get`
 */

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];
const SOURCE_PATH = '/etc/apt/sources.list.d/firstlight-backports.sources';

/** Releases whose own Mesa (22.3) Dawn cannot use. */
const RELEASES_THAT_NEED_BACKPORTS = ['bookworm'];

/**
 * Reads the shell-like assignments of /etc/os-release.
 * @param {string} text
 * @returns {Record<string, string>}
 */
export const parseOsRelease = (text) =>
  Object.fromEntries([...text.matchAll(/^([A-Z_]+)=["']?(.*?)["']?$/gm)].map(([, name, value]) => [name, value]));

/**
 * @param {string} etcApt `/etc/apt`
 * @returns {AptSource[]} every enabled entry
 */
export const readAptSources = (etcApt) => {
  const parts = join(etcApt, 'sources.list.d');
  const files = [join(etcApt, 'sources.list')];
  if (existsSync(parts))
    files.push(
      ...readdirSync(parts)
        .sort()
        .map((name) => join(parts, name)),
    );
  return files.filter(existsSync).flatMap((file) => {
    if (file.endsWith('.sources')) return parseDeb822Sources(readFileSync(file, 'utf8'));
    return file.endsWith('.list') ? parseOneLineSources(readFileSync(file, 'utf8')) : [];
  });
};

/**
 * @param {string} codename the release's name in apt's suites
 * @param {readonly AptSource[]} sources
 * @returns {DriverPlan}
 * @throws {SetupError} when backports are needed and apt has no entry to derive them from
 */
export const planDriver = (codename, sources) => {
  const install = ['install', '-y', '--no-install-recommends'];
  if (!RELEASES_THAT_NEED_BACKPORTS.includes(codename)) {
    return { sourceFile: undefined, installArguments: [...install, ...PACKAGES] };
  }
  const installArguments = [...install, '-t', `${codename}-backports`, ...PACKAGES];
  if (hasBackports(sources, codename)) return { sourceFile: undefined, installArguments };
  const backports = backportsSource(sources, codename);
  if (!backports) {
    throw new SetupError(
      `a Vulkan driver is needed from ${codename}-backports, but apt has no entry for ${codename} main to derive it from. ` +
        `Add ${codename}-backports to apt's sources, then run this again.`,
    );
  }
  return { sourceFile: { path: SOURCE_PATH, text: formatSource(backports) }, installArguments };
};

/** @param {DriverPlan} plan @returns {string} commands that do the plan when pasted into a shell */
export const commandsFor = (plan) => {
  const commands = [];
  if (plan.sourceFile) {
    commands.push(`sudo tee ${plan.sourceFile.path} >/dev/null <<'END'\n${plan.sourceFile.text}END`);
  }
  commands.push('sudo apt-get update', `sudo apt-get ${plan.installArguments.join(' ')}`);
  return commands.join('\n');
};

/**
 * The archives that belong to the distribution: all that the driver can need.
 * @param {readonly AptSource[]} sources
 * @param {string} codename
 * @returns {AptSource[]}
 */
export const distributionSources = (sources, codename) => {
  const uri = mainArchive(sources, codename)?.uris[0];
  const suites = ['updates', 'security', 'backports'].map((name) => `${codename}-${name}`);
  return sources.filter((source) => source.uris[0] === uri || source.suites.some((suite) => suites.includes(suite)));
};

/** Waits for another apt to end, but not long for a source that does not answer. */
const PATIENCE = ['DPkg::Lock::Timeout=300', 'Acquire::http::Timeout=20', 'Acquire::https::Timeout=20'];

/** apt has been seen to wait for ever for a mirror list's hosts when offline. */
const UPDATE_TIMEOUT_MS = 180_000;

/** @param {readonly string[]} args @param {{ timeout?: number }} [options] */
const aptGet = (args, options = {}) =>
  run('apt-get', ['-q', ...PATIENCE.flatMap((option) => ['-o', option]), ...args], {
    ...options,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
  });

/**
 * @param {DriverPlan} plan
 * @param {readonly string[]} sourceOptions
 */
const install = (plan, sourceOptions) =>
  withProgress('installing the Vulkan driver', () => aptGet([...sourceOptions, ...plan.installArguments]));

/** @param {readonly string[]} sourceOptions */
const update = (sourceOptions) =>
  withProgress("updating apt's package lists", () =>
    aptGet([...sourceOptions, 'update'], { timeout: UPDATE_TIMEOUT_MS }),
  );

/** @param {string} output @returns {string} apt's errors and warnings */
const complaints = (output) => {
  const lines = output.split('\n').filter((line) => /^[EW]:|killed by/.test(line));
  return lastLines(lines.join('\n'), 6);
};

/**
 * What an install says, after what the update before it complained of: that is often why it failed.
 * @param {{ output: string }} updated
 * @param {{ code: number, output: string }} installed
 */
const withComplaints = (updated, installed) => ({
  code: installed.code,
  output: `${complaints(updated.output)}\n${installed.output}`.trimStart(),
});

/**
 * Updates apt's lists and installs. An unrelated source that cannot be read makes both fail, and then they run again
 * with the distribution's own sources alone.
 * @param {DriverPlan} plan
 * @param {string} codename
 */
const updateAndInstall = async (plan, codename) => {
  const first = await update([]);
  if (first.code === 0) return withComplaints(first, await install(plan, []));
  say(`apt-get update failed; going on with the distribution's own sources:\n${complaints(first.output)}`);
  const sources = distributionSources(readAptSources('/etc/apt'), codename);
  const parts = mkdtempSync(join(tmpdir(), 'firstlight-apt-'));
  try {
    writeFileSync(join(parts, 'distribution.sources'), sources.map(formatSource).join('\n'));
    const options = ['Dir::Etc::sourcelist=/dev/null', `Dir::Etc::sourceparts=${parts}`, 'APT::Get::List-Cleanup=0'];
    const flags = sources.length > 0 ? options.flatMap((option) => ['-o', option]) : [];
    return withComplaints(await update(flags), await install(plan, flags));
  } finally {
    rmSync(parts, { recursive: true, force: true });
  }
};

/** @returns {Promise<string>} what there is of Mesa, for the announcement */
const installedMesa = async () => {
  const { code, stdout } = await run('dpkg-query', ['--status', 'mesa-vulkan-drivers']);
  const version = /^Version: (.*)$/m.exec(stdout)?.[1];
  return code === 0 && /^Status: .* installed$/m.test(stdout) ? `, and the installed Mesa ${version} offers none` : '';
};

/**
 * Installs the driver, each change to the system announced first.
 * @throws {SetupError} without apt or root, with the commands to run instead, or when apt fails
 */
export const installVulkanDriver = async () => {
  const release = existsSync('/etc/os-release') ? parseOsRelease(readFileSync('/etc/os-release', 'utf8')) : {};
  const problem = `there is no WebGPU adapter: no Vulkan driver that works was found${await installedMesa()}`;
  if ((await run('apt-get', ['--version'])).code !== 0) {
    throw new SetupError(
      `${problem}. Install your GPU's Vulkan driver or Mesa's software one, then run this again. For example ` +
        '`sudo dnf install mesa-vulkan-drivers vulkan-loader` (Fedora), `sudo pacman -S vulkan-swrast vulkan-icd-loader` (Arch).',
    );
  }
  const codename = release.VERSION_CODENAME ?? '';
  const plan = planDriver(codename, readAptSources('/etc/apt'));
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `${problem}, and installing one needs root. Run these commands, then this one again:\n\n${commandsFor(plan)}\n`,
    );
  }
  say(`${problem}. Installing Mesa's drivers, a software one among them. This changes the system:`);
  if (plan.sourceFile)
    say(`  writes ${plan.sourceFile.path}:\n${plan.sourceFile.text.replace(/^/gm, '      ').trimEnd()}`);
  say('  runs apt-get update');
  say(`  runs apt-get ${plan.installArguments.join(' ')}`);
  if (plan.sourceFile) writeFileSync(plan.sourceFile.path, plan.sourceFile.text);
  const { code, output } = await updateAndInstall(plan, codename);
  if (code !== 0) {
    throw new SetupError(`apt could not install the Vulkan driver (exit ${code}):\n${lastLines(output)}`);
  }
};
