/** The conformance suite of the WebSocket half of the transport contract: every adapter keeps the same promises. */
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RequestListener, Socket, Transport, UpgradeListener, WebSocketOptions } from '../../src/server/http.ts';
import { createTransport } from '../../src/server/transports/index.ts';
import { RawClient } from '../support/raw-client.ts';
import { ACCEPT, closeCodeOf, frame, framesOf, handshake, OPCODE, openRaw } from '../support/raw-web-socket.ts';
import { TRANSPORTS } from '../support/transports.ts';
import { until } from '../support/until.ts';

const MAX_MESSAGE_BYTES = 10_000;

const echo: UpgradeListener = (_request, response) => {
  const socket = response.accept();
  socket.onMessage = (message) => void socket.send(message);
};

const answerBody: RequestListener = (request, response) => {
  void request.body(1000).then((body) => {
    response.head(200, {});
    response.end(`${request.method} ${request.path} ${Buffer.from(body)}`);
  });
};

const aborted = ({ signal }: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });

describe.each(TRANSPORTS)('WebSockets of %s', (name) => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo();
  });

  const listen = async (
    listener: UpgradeListener,
    options: Partial<WebSocketOptions> = {},
  ): Promise<{ transport: Transport; port: number; url: string }> => {
    const transport = await createTransport(name, answerBody, {
      listener,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      ...options,
    });
    const port = await transport.listen('127.0.0.1', 0);
    cleanup.push(() => transport.close());
    return { transport, port, url: `ws://127.0.0.1:${port}` };
  };
  const openSocket = async (port: number, path = '/', headers: Record<string, string> = {}): Promise<RawClient> => {
    const raw = await openRaw(port, path, headers);
    cleanup.push(() => raw.close());
    return raw;
  };

  test('answers the handshake of RFC 6455, agrees on one sub-protocol and declines compression', async () => {
    const heads: unknown[] = [];
    const { port } = await listen(({ method, path, query, headers, remoteAddress }, response) => {
      heads.push({ method, path, q: query.get('q'), origin: headers.get('origin'), remoteAddress });
      expect(response.accept('second').protocol).toBe('second');
    });
    const raw = await openSocket(port, '/a/b?q=1', {
      Origin: 'http://page.example',
      'Sec-WebSocket-Protocol': 'first, second',
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
    });
    const head = raw.received.slice(0, raw.received.indexOf('\r\n\r\n')).toLowerCase();
    expect(head).toContain(`sec-websocket-accept: ${ACCEPT.toLowerCase()}`);
    expect(head).toContain('sec-websocket-protocol: second');
    expect(head).not.toContain('sec-websocket-extensions');
    expect(heads).toEqual([
      { method: 'GET', path: '/a/b', q: '1', origin: 'http://page.example', remoteAddress: '127.0.0.1' },
    ]);
  });

  test('brings text and binary in order, joins fragments, and answers pings between them', async () => {
    const { port } = await listen(echo);
    const raw = await openSocket(port);
    raw.send(
      Buffer.concat([
        frame(OPCODE.text, 'héllo'),
        frame(OPCODE.binary, new Uint8Array([0, 255, 1])),
        frame(OPCODE.text, 'one ', false),
        frame(OPCODE.ping, 'there?'),
        frame(OPCODE.continuation, 'message'),
        frame(OPCODE.text, ''),
        frame(OPCODE.text, 'x'.repeat(MAX_MESSAGE_BYTES)),
      ]),
    );
    await until(() => framesOf(raw.received).length === 6);
    const frames = framesOf(raw.received);
    expect(frames.map(({ opcode }) => opcode)).toEqual([1, 2, OPCODE.pong, 1, 1, 1]);
    expect(frames.map(({ payload }) => payload.toString('latin1').length)).toEqual([6, 3, 6, 11, 0, MAX_MESSAGE_BYTES]);
    expect(frames[0]?.payload.toString()).toBe('héllo');
    expect([...(frames[1]?.payload ?? [])]).toEqual([0, 255, 1]);
    expect(frames[3]?.payload.toString()).toBe('one message');
  });

  test('speaks with a client library in both directions, across a thousand messages', async () => {
    const { url } = await listen(echo);
    const client = new WebSocket(url);
    cleanup.push(() => client.terminate());
    const received: string[] = [];
    client.on('message', (bytes: Buffer) => received.push(bytes.toString()));
    await new Promise((resolve) => client.once('open', resolve));
    const sent = Array.from({ length: 1000 }, (_, index) => `${index} ${'é'.repeat(index % 300)}`);
    for (const text of sent) client.send(text);
    await until(() => received.length === sent.length);
    expect(received).toEqual(sent);
  });

  test('refuses a handshake with a status, headers and a body', async () => {
    const { port, url } = await listen((request, response) => {
      response.head(403, { 'x-why': 'because', 'content-type': 'text/plain' });
      response.end(`not ${request.path}`);
    });
    const raw = await RawClient.open(port);
    cleanup.push(() => raw.close());
    raw.send(handshake('/secret'));
    await raw.until(/^HTTP\/1\.1 403 [\s\S]*x-why: because[\s\S]*\r\n\r\nnot \/secret$/i);
    const client = new WebSocket(url);
    const error = await new Promise<Error>((resolve) => client.once('error', resolve));
    expect(error.message).toContain('403');
    expect(await (await fetch(`http://127.0.0.1:${port}/x`)).text()).toBe('GET /x ');
  });

  test('may take its time before it accepts, and accepts in vain when the client has left', async () => {
    const accepted: Socket[] = [];
    let answer: () => void = () => {};
    const { port } = await listen((_request, response) => {
      answer = () => {
        accepted.push(response.accept());
        accepted.at(-1)?.send('welcome');
      };
      arrived();
    });
    let arrived: () => void = () => {};
    const arrival = (): Promise<void> =>
      new Promise((resolve) => {
        arrived = resolve;
      });
    const first = arrival();
    const patient = await RawClient.open(port);
    cleanup.push(() => patient.close());
    patient.send(handshake('/'));
    await first;
    answer();
    await patient.until(/^HTTP\/1\.1 101 [\s\S]*welcome$/);
    const second = arrival();
    const hasty = await RawClient.open(port);
    hasty.send(handshake('/'));
    await second;
    hasty.close();
    await hasty.closed();
    answer();
    const left = accepted[1]!;
    await aborted(left);
    expect(left.send('to nobody')).toBe(true);
    await left.drained();
  });

  test('serves whatever is no handshake as an ordinary request', async () => {
    const { port } = await listen(() => expect.unreachable());
    const cases = [
      handshake('/post', { 'Content-Length': '4' }, 'POST').concat('body'),
      handshake(
        '/h2c',
        { Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQCAAAAAAIAAAAA', 'Content-Length': '2' },
        'POST',
      ),
      handshake('/old', { 'Sec-WebSocket-Version': '8' }),
      handshake('/key', { 'Sec-WebSocket-Key': 'short' }),
      handshake('/key', { 'Sec-WebSocket-Key': 'not base64, yet 24 bytes' }),
    ];
    for (const [index, text] of cases.entries()) {
      const raw = await RawClient.open(port);
      cleanup.push(() => raw.close());
      raw.send(text);
      if (text.includes('h2c')) raw.send('ok');
      const expected = ['POST /post body', 'POST /h2c ok', 'GET /old ', 'GET /key ', 'GET /key '][index]!;
      await raw.until(new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*\\r\\n\\r\\n${expected}$`));
    }
  });

  test('closes with 1009 on a message over the limit, whole or in fragments, and cuts one far larger', async () => {
    const sockets: Socket[] = [];
    const { port } = await listen((_request, response) => {
      const socket = response.accept();
      socket.onMessage = () => expect.unreachable();
      sockets.push(socket);
    });
    const half = 'x'.repeat(MAX_MESSAGE_BYTES / 2 + 1);
    const tooLarge = [
      frame(OPCODE.text, 'x'.repeat(MAX_MESSAGE_BYTES + 1)),
      Buffer.concat([frame(OPCODE.text, half, false), frame(OPCODE.continuation, half)]),
    ];
    for (const bytes of tooLarge) {
      const raw = await openSocket(port);
      raw.send(bytes);
      await until(() => closeCodeOf(raw.received) !== undefined);
      expect(closeCodeOf(raw.received)).toBe(1009);
      await aborted(sockets.at(-1)!);
    }
    const raw = await openSocket(port);
    raw.send(frame(OPCODE.text, 'x'.repeat(3 * MAX_MESSAGE_BYTES)));
    await aborted(sockets.at(-1)!);
    await raw.closed();
  });

  test('ends the socket on broken frames, and goes on serving others', async () => {
    const { port, url } = await listen(echo);
    const broken = [
      frame(11, 'reserved opcode'),
      frame(OPCODE.continuation, 'of nothing'),
      frame(OPCODE.text, new Uint8Array([0xff, 0xfe])),
      Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), // with reserved bits
      frame(OPCODE.ping, 'x'.repeat(126)),
    ];
    for (const bytes of broken) {
      const raw = await openSocket(port);
      raw.send(bytes);
      await until(() => raw.socket.closed || raw.socket.readableEnded || closeCodeOf(raw.received) !== undefined);
      expect(framesOf(raw.received).filter(({ opcode }) => opcode !== OPCODE.close)).toEqual([]);
      raw.close();
    }
    const client = new WebSocket(url);
    cleanup.push(() => client.terminate());
    client.once('open', () => client.send('alive'));
    const reply = await new Promise<Buffer>((resolve) => client.once('message', resolve));
    expect(reply.toString()).toBe('alive');
  });

  test('pauses a slow reader without losing a byte, while others are served', async () => {
    const piece = `${'0123456789abcdef'.repeat(4096)}\n`;
    const totalPieces = 400;
    let numSent = 0;
    let numPauses = 0;
    const { port } = await listen(async (_request, response) => {
      const socket = response.accept();
      for (; numSent < totalPieces; numSent++) {
        if (socket.send(piece)) continue;
        numPauses++;
        await socket.drained();
      }
      socket.close(1000, 'that was all');
    });
    const raw = await openSocket(port);
    raw.socket.pause();
    await until(() => numPauses > 0);
    for (let turn = 0; turn < 50; turn++) {
      expect(await (await fetch(`http://127.0.0.1:${port}/quick`)).text()).toBe('GET /quick ');
    }
    // What the kernel's socket buffers hold is all that was taken: the 26 MB never pile up in the server.
    expect(numSent).toBeLessThan(totalPieces / 2);
    raw.socket.resume();
    await raw.untilEnd('that was all');
    const frames = framesOf(raw.received);
    const texts = frames.filter(({ opcode }) => opcode === OPCODE.text).map(({ payload }) => payload.toString());
    expect(texts.length).toBe(totalPieces);
    expect(texts.every((text) => text === piece)).toBe(true);
  });

  test('closes with 1008 on whoever lets more wait than the limit, and drops nothing sent before', async () => {
    const sockets: Socket[] = [];
    const { port } = await listen((_request, response) => void sockets.push(response.accept()), {
      maxBufferedBytes: 100_000,
    });
    const raw = await openSocket(port);
    raw.socket.pause();
    const [socket] = sockets as [Socket];
    const piece = 'x'.repeat(65_536);
    let numSent = 0;
    for (; !socket.signal.aborted; numSent++) socket.send(piece);
    expect(socket.send('late')).toBe(true);
    await socket.drained();
    raw.socket.resume();
    await until(() => closeCodeOf(raw.received) !== undefined);
    expect(closeCodeOf(raw.received)).toBe(1008);
    // The one that came too late is not among them.
    expect(framesOf(raw.received).length - 1).toBe(numSent - 1);
  });

  test('aborts the signal when the peer says goodbye, hangs up or resets, also while it is paused', async () => {
    const sockets: Socket[] = [];
    const { port } = await listen((_request, response) => void sockets.push(response.accept()));
    const leave: ((raw: RawClient) => unknown)[] = [
      (raw) => raw.send(frame(OPCODE.close, new Uint8Array([3, 232]))),
      (raw) => raw.socket.end(),
      (raw) => raw.close(),
      (raw) => raw.socket.resetAndDestroy(),
    ];
    for (const go of leave) {
      const raw = await openSocket(port);
      go(raw);
      await aborted(sockets.at(-1)!);
    }
    const raw = await openSocket(port);
    raw.socket.pause();
    const socket = sockets.at(-1)!;
    while (socket.send('x'.repeat(65_536)));
    const drained = socket.drained();
    raw.close();
    await drained;
    await aborted(socket);
    expect(socket.send('late')).toBe(true);
    socket.close(1000, 'late');
  });

  test('says goodbye after what was sent, with a code and as much of the reason as fits', async () => {
    const { port } = await listen((_request, response) => {
      const socket = response.accept();
      socket.send('first');
      socket.close(4001, 'é'.repeat(100));
      expect(socket.signal.aborted).toBe(true);
      socket.send('never sent');
    });
    const raw = await openSocket(port);
    await until(() => closeCodeOf(raw.received) !== undefined);
    const frames = framesOf(raw.received);
    expect(frames.map(({ opcode }) => opcode)).toEqual([OPCODE.text, OPCODE.close]);
    expect(closeCodeOf(raw.received)).toBe(4001);
    expect(frames[1]?.payload.subarray(2).toString()).toBe('é'.repeat(61));
  });

  test('pings, keeps a silent peer that answers, and cuts one that does not', async () => {
    const sockets: Socket[] = [];
    const { port, url } = await listen((_request, response) => void sockets.push(response.accept()), {
      pingIntervalMs: 250,
    });
    const client = new WebSocket(url);
    cleanup.push(() => client.terminate());
    let numPings = 0;
    client.on('ping', () => numPings++);
    await new Promise((resolve) => client.once('open', resolve));
    const dead = await openSocket(port);
    const [living, silent] = sockets as [Socket, Socket];
    await aborted(silent);
    await dead.closed();
    expect(framesOf(dead.received).map(({ opcode }) => opcode)).toEqual([OPCODE.ping]);
    const before = numPings;
    await until(() => numPings > before + 2);
    expect(living.signal.aborted).toBe(false);
  });

  test('after stopAccepting keeps open sockets; close cuts them', async () => {
    const sockets: Socket[] = [];
    const { transport, port } = await listen((_request, response) => void sockets.push(response.accept()));
    const raw = await openSocket(port);
    const [socket] = sockets as [Socket];
    transport.stopAccepting();
    socket.send('still here');
    await raw.until(/still here$/);
    await expect(RawClient.open(port)).rejects.toThrow(/ECONNREFUSED/);
    await transport.close();
    await raw.closed();
    await aborted(socket);
  });
});
