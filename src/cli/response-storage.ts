/** Where `firstlight serve` keeps responses: beside KV and sessions, under the same rules. */
import { join, resolve } from 'node:path';
import { type Config, defaultKvDirectory } from '../runtime/config.ts';
import { openSeal } from '../runtime/kv-storage.ts';
import type { ResponseStoreOptions } from '../server/responses/response-store.ts';

const DAY_SECONDS = 24 * 3600;

/** @throws EngineError config_invalid: the key file cannot be used */
export const responseStorage = (config: Config): Partial<ResponseStoreOptions> => {
  const limits = {
    maxBytes: config.responseBytes,
    ttlSeconds: config.responseDays * DAY_SECONDS,
  };
  if (config.kvDisk === 0) return limits;
  return {
    ...limits,
    directory: join(resolve(config.kvDirectory ?? defaultKvDirectory()), 'responses'),
    fsync: config.kvFsync === 'always',
    ...(config.kvKeyFile === undefined ? {} : { seal: openSeal(resolve(config.kvKeyFile), 'response') }),
  };
};
