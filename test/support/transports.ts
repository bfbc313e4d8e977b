import type { TransportName } from '../../src/server/http.ts';
import { defaultTransport } from '../../src/server/transports/index.ts';

/** The transports that this Node can run. */
export const TRANSPORTS: readonly TransportName[] = defaultTransport() === 'uws' ? ['uws', 'node-http'] : ['node-http'];
