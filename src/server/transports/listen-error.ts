/** One wording for a port that cannot be bound, whichever transport tried. */
import { EngineError } from '../../runtime/errors.ts';

export const listenError = (host: string, port: number, reason: string): EngineError =>
  new EngineError(
    'config_invalid',
    `cannot listen on ${host}:${port} (${reason}): free the port, or choose another with --port or --host`,
    { param: 'port' },
  );
