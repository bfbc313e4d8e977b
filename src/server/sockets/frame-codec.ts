/** The two forms of our own frames: JSON as text, MessagePack as bytes. */
import { Packr, Unpackr } from 'msgpackr';
import { EngineError } from '../../runtime/errors.ts';
import { checkPlain, parseJson } from '../json-body.ts';

/** One socket's, for its life: MessagePack records are defined where they come first, and only named after that. */
export interface FrameCodec {
  encode(frame: object): string | Uint8Array;
  /** A JSON value. @throws EngineError invalid_request */
  decode(message: string | Uint8Array): unknown;
}

const json = (): FrameCodec => ({
  encode: (frame) => JSON.stringify(frame),
  decode: (message) => {
    if (typeof message === 'string') return parseJson(Buffer.from(message));
    throw invalid(
      'a binary message on a socket that speaks firstlight.json: send text, or agree on firstlight.msgpack',
    );
  },
});

const msgpack = (): FrameCodec => {
  const packr = new Packr({ sequential: true });
  // Clients in other languages send plain maps.
  const unpackr = new Unpackr({ sequential: true, mapsAsObjects: true, int64AsType: 'number' });
  return {
    encode: (frame) => packr.pack(frame),
    decode: (message) => {
      if (typeof message === 'string') {
        throw invalid('a text message on a socket that speaks firstlight.msgpack: send binary');
      }
      return checkPlain(unpacked(unpackr, message));
    },
  };
};

const unpacked = (unpackr: Unpackr, message: Uint8Array): unknown => {
  try {
    return unpackr.unpack(message);
  } catch {
    // The library's own message may quote the body.
    throw invalid(`the message (${message.byteLength} bytes) is not valid MessagePack`);
  }
};

const invalid = (message: string): EngineError =>
  new EngineError('invalid_request', message, { reason: 'invalid_frame' });

export const JSON_PROTOCOL = 'firstlight.json';

/** By sub-protocol, best first. */
export const FRAME_CODECS: ReadonlyMap<string, () => FrameCodec> = new Map([
  [JSON_PROTOCOL, json],
  ['firstlight.msgpack', msgpack],
]);
