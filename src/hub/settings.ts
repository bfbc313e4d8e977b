/** Where the hub is, who asks it, and where its files are kept: read as the hub's own tools read their environment. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../runtime/errors.ts';

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder that `models--ORG--NAME` lie in. */
  readonly cacheFolder: string;
  /** Absent: public repositories only. */
  readonly token: string | undefined;
  /** Only what is there already may be used. */
  readonly isOffline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = 'https://huggingface.co';

/**
 * The settings that `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE` and
 * `XDG_CACHE_HOME` ask for; without `HF_TOKEN` the token file that `hf auth login` writes.
 * @throws EngineError config_invalid
 * Source: huggingface_hub's documentation, "Environment variables".
 */
export const hubSettings = (environment: Environment): HubSettings => {
  const cacheHome = folderOf(environment, 'XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  const home = folderOf(environment, 'HF_HOME') ?? join(cacheHome, 'huggingface');
  return {
    endpoint: endpointOf(environment),
    cacheFolder:
      folderOf(environment, 'HF_HUB_CACHE') ?? folderOf(environment, 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    token: tokenOf(environment, home),
    isOffline: ['1', 'true', 'yes', 'on'].includes(environment.HF_HUB_OFFLINE?.trim().toLowerCase() ?? ''),
  };
};

/** A variable's value; an empty one counts as absent. */
const variable = (environment: Environment, name: string): string | undefined => environment[name]?.trim() || undefined;

const folderOf = (environment: Environment, name: string): string | undefined =>
  variable(environment, name)?.replace(/^~(?=$|[\\/])/, homedir());

const endpointOf = (environment: Environment): string => {
  const value = variable(environment, 'HF_ENDPOINT') ?? DEFAULT_ENDPOINT;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '') {
    return value.replace(/\/+$/, '');
  }
  throw new EngineError(
    'config_invalid',
    `HF_ENDPOINT: ${JSON.stringify(value)} is not allowed; allowed: an http or https URL without user and query`,
  );
};

const tokenOf = (environment: Environment, home: string): string | undefined => {
  const given = variable(environment, 'HF_TOKEN') ?? variable(environment, 'HUGGING_FACE_HUB_TOKEN');
  if (given !== undefined) return checkToken('HF_TOKEN', given);
  const path = folderOf(environment, 'HF_TOKEN_PATH') ?? join(home, 'token');
  const stored = readToken(path);
  return stored === '' ? undefined : checkToken(path, stored);
};

const readToken = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new EngineError('config_invalid', `the hub's token file ${path} cannot be read: ${cause}`, {}, { cause });
  }
};

const checkToken = (source: string, token: string): string => {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new EngineError('config_invalid', `${source}: the token (not shown) has white space or control characters`);
};
