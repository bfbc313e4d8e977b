/** WebSockets of the node:http transport, over the `ws` package, whose only importer this is. */
import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket as NetSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { EngineError } from '../../runtime/errors.ts';
import type { Socket, UpgradeResponse, WebSocketOptions } from '../http.ts';
import { adaptRequest, NodeHttpResponse } from './node-exchange.ts';
import { isHandshake, TransportSocket } from './socket.ts';

export class NodeWebSockets {
  readonly #server: Server;
  readonly #options: WebSocketOptions;
  readonly #handshakes: WebSocketServer;
  /** Connections that node:http has let go of: it would not cut them. */
  readonly #connections = new Set<Duplex>();

  constructor(server: Server, options: WebSocketOptions) {
    this.#server = server;
    this.#options = options;
    const maxPayload = options.maxMessageBytes;
    this.#handshakes = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload,
    });
    server.on('upgrade', (message: IncomingMessage, connection: NetSocket, head: Buffer) => {
      this.#upgrade(message, connection, head);
    });
  }

  /** Cuts every connection. */
  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #upgrade(message: IncomingMessage, connection: NetSocket, head: Buffer): void {
    const gone = new AbortController();
    const request = adaptRequest(message, gone.signal);
    if (!isHandshake(request)) {
      readAgain(this.#server, message, connection, head);
      return;
    }
    this.#connections.add(connection);
    // A reset is one way to leave; `close` follows.
    connection.on('error', () => connection.destroy());
    connection.once('close', () => {
      this.#connections.delete(connection);
      gone.abort(new EngineError('aborted', 'the client closed the connection'));
    });
    const response = new ServerResponse(message);
    response.assignSocket(connection);
    response.shouldKeepAlive = false;
    response.once('finish', () => connection.end());
    const accept = (protocol: string): Socket => {
      response.detachSocket(connection);
      return this.#accept(message, connection, head, protocol);
    };
    this.#options.listener(request, new NodeUpgradeResponse(response, gone.signal, accept));
  }

  #accept(message: IncomingMessage, connection: NetSocket, head: Buffer, protocol: string): Socket {
    const socket = new TransportSocket(protocol, this.#options);
    // `ws` agrees to the first protocol offered, so the one chosen is all that it is told of.
    if (protocol === '') delete message.headers['sec-websocket-protocol'];
    else message.headers['sec-websocket-protocol'] = protocol;
    connection.once('close', () => socket.gone());
    if (connection.destroyed) socket.gone();
    else this.#handshakes.handleUpgrade(message, connection, head, (ws) => join(ws, connection, socket));
    return socket;
  }
}

class NodeUpgradeResponse extends NodeHttpResponse implements UpgradeResponse {
  readonly #accept: (protocol: string) => Socket;

  constructor(response: ServerResponse, signal: AbortSignal, accept: (protocol: string) => Socket) {
    super(response, signal);
    this.#accept = accept;
  }

  accept(protocol = ''): Socket {
    return this.#accept(protocol);
  }
}

const join = (ws: WebSocket, connection: NetSocket, socket: TransportSocket): void => {
  ws.on('message', (bytes: Buffer, isBinary: boolean) => {
    socket.received(isBinary ? bytes : bytes.toString(), bytes.byteLength);
  });
  ws.on('ping', () => socket.heard());
  ws.on('pong', () => socket.heard());
  ws.on('close', () => socket.gone());
  // `ws` has answered a broken or oversized frame with its close code by now.
  ws.on('error', () => socket.gone());
  connection.on('drain', () => socket.caughtUp());
  socket.opened({
    send: (message) => ws.send(message),
    isBehind: () => connection.writableNeedDrain,
    bufferedBytes: () => connection.writableLength,
    ping: () => ws.ping(),
    close: (code, reason) => ws.close(code, reason),
    cut: () => ws.terminate(),
  });
};

/**
 * Where upgrades are listened for, node:http hands over every one and reads no further. A request to become anything
 * but a WebSocket is read once more, without that wish.
 */
const readAgain = (server: Server, message: IncomingMessage, connection: NetSocket, head: Buffer): void => {
  const lines = [`${message.method} ${message.url} HTTP/1.1`];
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    const name = message.rawHeaders[index] ?? '';
    if (/^(upgrade|connection|http2-settings)$/i.test(name)) continue;
    lines.push(`${name}: ${message.rawHeaders[index + 1]}`);
  }
  connection.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', connection);
};
