/** The transport over node:http: every Node version, and the reference for what the other adapter must do. */
import { createServer } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { EngineError } from '../../runtime/errors.ts';
import type { RequestListener, Transport, WebSocketOptions } from '../http.ts';
import { listenError } from './listen-error.ts';
import { adaptRequest, NodeHttpResponse } from './node-exchange.ts';
import { NodeWebSockets } from './node-web-sockets.ts';

export const createNodeHttpTransport = (listener: RequestListener, webSockets?: WebSocketOptions): Transport => {
  const server = createServer({ noDelay: true, keepAlive: true }, (message, serverResponse) => {
    const gone = new AbortController();
    serverResponse.on('close', () => {
      if (!serverResponse.writableFinished) gone.abort(new EngineError('aborted', 'the client closed the connection'));
    });
    listener(adaptRequest(message, gone.signal), new NodeHttpResponse(serverResponse, gone.signal));
  });
  const upgrades = webSockets === undefined ? undefined : new NodeWebSockets(server, webSockets);
  return {
    name: 'node-http',
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        const failed = (error: Error): void => reject(listenError(host, port, error.message));
        server.once('error', failed);
        server.listen({ host, port }, () => {
          server.off('error', failed);
          resolve((server.address() as AddressInfo).port);
        });
      }),
    // http.Server's own close also cuts idle kept-alive connections; a draining server still answers those.
    stopAccepting: () => void NetServer.prototype.close.call(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        upgrades?.close();
      }),
  };
};
