/** WebSocket frames by hand, for what clients hide: pausing, fragments, broken frames, silence. Source: RFC 6455. */
import { RawClient } from './raw-client.ts';

/** The example of RFC 6455 §1.3: its key, and what must be answered. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const handshake = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): string =>
  [
    `${method} ${path} HTTP/1.1`,
    ...Object.entries({
      Host: 'localhost',
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': KEY,
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`),
    '\r\n',
  ].join('\r\n');

/** A client's frame; its mask is all zeros. */
export const frame = (opcode: number, payload: string | Uint8Array, isLast = true): Buffer => {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 0x10000 ? 4 : 10);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  if (head.length === 2) head[1] = 0x80 | bytes.length;
  else if (head.length === 4) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(bytes.length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(bytes.length), 2);
  }
  return Buffer.concat([head, Buffer.alloc(4), bytes]);
};

interface ReceivedFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** The whole frames in what a server sent after its handshake. */
export const framesOf = (received: string): readonly ReceivedFrame[] => {
  const bytes = Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1');
  const frames: ReceivedFrame[] = [];
  for (let offset = 0; offset + 2 <= bytes.length; ) {
    const short = bytes[offset + 1]! & 0x7f;
    const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (offset + headBytes > bytes.length) break;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(offset + 2) : Number(bytes.readBigUInt64BE(offset + 2));
    const end = offset + headBytes + length;
    if (end > bytes.length) break;
    frames.push({ opcode: bytes[offset]! & 0x0f, payload: bytes.subarray(offset + headBytes, end) });
    offset = end;
  }
  return frames;
};

/** The code that the server said goodbye with. */
export const closeCodeOf = (received: string): number | undefined => {
  const close = framesOf(received).find(({ opcode }) => opcode === OPCODE.close);
  return close?.payload.readUInt16BE(0);
};

/** Opens a WebSocket and returns its connection. */
export const openRaw = async (
  port: number,
  path = '/',
  headers: Readonly<Record<string, string>> = {},
): Promise<RawClient> => {
  const raw = await RawClient.open(port);
  raw.send(handshake(path, headers));
  await raw.until(/^HTTP\/1\.1 101 [\s\S]*?\r\n\r\n/);
  return raw;
};
