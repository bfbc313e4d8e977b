/** What can be known of an address before anything serves on it. */
import { createServer } from 'node:net';
import { Access, type AccessOptions } from './auth.ts';
import { listenError } from './transports/listen-error.ts';

/**
 * Refuses what `createServer` would refuse, so that nobody waits for a model to load first.
 * @throws EngineError config_invalid: the port is taken, or the address is open to others without a key
 */
export const checkAddress = async (address: AccessOptions & { readonly port: number }): Promise<void> => {
  const { host, port } = address;
  new Access(address);
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error) => reject(listenError(host, port, error.message)));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
};

/** The host to put in a URL: "every address" is reached through this machine's own. */
export const urlHost = (host: string): string => {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
};
