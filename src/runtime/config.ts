/** The configuration: one table of options, read from a YAML file, the environment and the command line. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { OPTIONS, type Option } from './config-options.ts';
import { EngineError } from './errors.ts';

export { EMBEDDED_MODEL_PATH, OPTIONS, SESSION_FIELDS } from './config-options.ts';

export type OptionName = keyof typeof OPTIONS;

/** Every option with its value. Frozen. */
export type Config = {
  readonly [Name in OptionName]: z.infer<(typeof OPTIONS)[Name]['schema']> | (typeof OPTIONS)[Name]['fallback'];
};

const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];
const ENVIRONMENT_PREFIX = 'FIRSTLIGHT_';
const CONFIG_FILE_VARIABLE = 'FIRSTLIGHT_CONFIG';
/** Variables of ours that other programs read: the tests. */
const OTHER_VARIABLES = new Set([
  CONFIG_FILE_VARIABLE,
  'FIRSTLIGHT_TEST_DATA',
  'FIRSTLIGHT_SWIFTSHADER',
  'FIRSTLIGHT_CHROMIUM',
]);

export const flagOf = (name: OptionName): string => `--${(OPTIONS[name] as Option<unknown>).flag ?? OPTIONS[name].key}`;
const variableOf = (name: OptionName): string =>
  `${ENVIRONMENT_PREFIX}${OPTIONS[name].key.toUpperCase().replaceAll('-', '_')}`;

export interface ConfigSources {
  /** What the command line gave, by option name. */
  readonly flags?: Readonly<Partial<Record<OptionName, unknown>>>;
  /** `--config FILE`; absent: FIRSTLIGHT_CONFIG, else no file. */
  readonly configPath?: string | undefined;
  /** Absent: the process's own. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Things that look like mistakes but stop nothing; one sentence each. */
  readonly warnings: readonly string[];
}

/** The process's own environment, for whatever reads variables that are not ours. */
export const processEnvironment = (): Readonly<Record<string, string | undefined>> => process.env;

/** The folder for KV that the user's system has for such things. */
export const defaultKvDirectory = (environment = processEnvironment()): string => {
  const cacheFolder =
    environment.XDG_CACHE_HOME ??
    (process.platform === 'win32'
      ? (environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'))
      : join(homedir(), process.platform === 'darwin' ? 'Library/Caches' : '.cache'));
  return join(cacheFolder, 'firstlight', 'kv');
};

/** One value as its author wrote it. */
interface Setting {
  readonly name: OptionName;
  /** The flag, the variable, or the file and its key. */
  readonly source: string;
  readonly value: unknown;
}

/**
 * Reads file, environment and flags, each overriding the one before, and checks every value, overridden or not.
 * @throws EngineError config_invalid, naming each bad value, where it stands and what is allowed
 */
export const loadConfig = (sources: ConfigSources = {}): LoadedConfig => {
  const environment = sources.environment ?? processEnvironment();
  const configPath = sources.configPath ?? environment[CONFIG_FILE_VARIABLE];
  const settings = [
    ...(configPath === undefined ? [] : fileSettings(configPath)),
    ...environmentSettings(environment),
    ...flagSettings(sources.flags ?? {}),
  ];
  const values = new Map<OptionName, unknown>(OPTION_NAMES.map((name) => [name, OPTIONS[name].fallback]));
  const complaints: string[] = [];
  for (const { name, source, value } of settings) {
    const definition: Option<unknown> = OPTIONS[name];
    const parsed = definition.schema.safeParse(value);
    if (parsed.success) values.set(name, parsed.data);
    else complaints.push(`${source}: ${shown(definition, value)} is not allowed; allowed: ${definition.allowed}`);
  }
  if (complaints.length > 0) throw new EngineError('config_invalid', complaints.join('\n'));
  for (const value of values.values()) if (Array.isArray(value)) Object.freeze(value);
  const config = Object.freeze(Object.fromEntries(values)) as Config;
  return { config, warnings: unknownVariables(environment) };
};

const shown = (definition: Option<unknown>, value: unknown): string =>
  definition.isSecret ? 'the value (not shown)' : (JSON.stringify(value) ?? String(value));

const flagSettings = (flags: Readonly<Partial<Record<OptionName, unknown>>>): Setting[] =>
  OPTION_NAMES.filter((name) => flags[name] !== undefined).map((name) => ({
    name,
    source: flagOf(name),
    value: flags[name],
  }));

const environmentSettings = (environment: Readonly<Record<string, string | undefined>>): Setting[] =>
  OPTION_NAMES.filter((name) => environment[variableOf(name)] !== undefined).map((name) => ({
    name,
    source: variableOf(name),
    value: environment[variableOf(name)],
  }));

const unknownVariables = (environment: Readonly<Record<string, string | undefined>>): string[] => {
  const known = new Set([...OPTION_NAMES.map(variableOf), ...OTHER_VARIABLES]);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith(ENVIRONMENT_PREFIX) && !known.has(variable))
    .map((variable) => `${variable} is set but means nothing; known: ${OPTION_NAMES.map(variableOf).join(', ')}`);
};

/** @throws EngineError config_invalid: the file cannot be read, is no YAML mapping, or has an unknown key */
const fileSettings = (path: string): Setting[] => {
  const content = readYaml(path);
  if (content === null || content === undefined) return [];
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new EngineError('config_invalid', `${path}: not a mapping of option names to values`);
  }
  const names = new Map(OPTION_NAMES.map((name) => [OPTIONS[name].key, name]));
  return Object.entries(content).map(([key, value]) => {
    const name = names.get(key);
    if (name !== undefined) return { name, source: `${path}: ${key}`, value };
    const known = [...names.keys()].join(', ');
    throw new EngineError('config_invalid', `${path}: there is no option '${key}'; known: ${known}`);
  });
};

const readYaml = (path: string): unknown => {
  try {
    return parseYaml(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason =
      cause instanceof Error ? (cause.message.split('\n')[0]?.replace(/:$/, '') ?? cause.name) : String(cause);
    throw new EngineError('config_invalid', `the configuration file ${path} cannot be used: ${reason}`, {}, { cause });
  }
};
