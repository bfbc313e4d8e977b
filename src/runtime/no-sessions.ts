/** The sessions of an engine that keeps nothing between requests. */
import type { Sessions } from './api.ts';
import { EngineError } from './errors.ts';

const none = async (): Promise<never> => {
  throw new EngineError('not_found', 'an embedding model keeps no sessions', { reason: 'session_not_found' });
};

const impossible = async (): Promise<never> => {
  throw new EngineError('not_supported', 'an embedding model keeps no sessions');
};

export const NO_SESSIONS: Sessions = {
  list: async () => [],
  requestCache: async () => undefined,
  get: none,
  fork: none,
  save: none,
  pin: none,
  unpin: none,
  evict: none,
  delete: none,
  export: none,
  create: impossible,
  import: impossible,
};
