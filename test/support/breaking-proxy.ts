/** Stands between a client and a server: it can break every connection off, or fall silent on it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface BreakingProxy {
  readonly url: string;
  /** Resets the connections that are open; new ones are taken. */
  breakAll(): void;
  /** Passes nothing on any more over the connections that are open, and says nothing of it. */
  silence(): void;
}

export const startBreakingProxy = async (port: number): Promise<BreakingProxy> => {
  const open = new Set<Socket>();
  const breakAll = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      // A broken connection is what this is for.
      socket.on('error', () => {});
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    breakAll();
    server.close();
  });
  const silence = (): void => {
    for (const socket of open) socket.unpipe().resume();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, breakAll, silence };
};
