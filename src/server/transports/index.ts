/** Chooses the transport. µWebSockets.js has binaries for Node 20 and 22 only, so it is loaded only there. */
import type { RequestListener, Transport, TransportName, WebSocketOptions } from '../http.ts';

const UWS_NODE_MAJORS = new Set(['20', '22']);
const UWS_PLATFORMS = new Set(['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64']);

/** The transport that `createTransport` takes when none is named. */
export const defaultTransport = (): TransportName => {
  const nodeMajor = process.versions.node.split('.')[0] ?? '';
  const hasBinary = UWS_NODE_MAJORS.has(nodeMajor) && UWS_PLATFORMS.has(`${process.platform}-${process.arch}`);
  return hasBinary ? 'uws' : 'node-http';
};

export const createTransport = async (
  name: TransportName,
  listener: RequestListener,
  webSockets?: WebSocketOptions,
): Promise<Transport> =>
  name === 'uws'
    ? (await import('./uws.ts')).createUwsTransport(listener, webSockets)
    : (await import('./node-http.ts')).createNodeHttpTransport(listener, webSockets);
