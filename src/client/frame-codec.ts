/** How frames are written on a socket. */

/** One socket's, for its life. */
export interface FrameCodec {
  /** The sub-protocol that stands for it. */
  readonly protocol: string;
  encode(frame: object): string | Uint8Array;
  decode(message: string | Uint8Array): unknown;
}

export const jsonCodec = (): FrameCodec => ({
  protocol: 'firstlight.json',
  encode: (frame) => JSON.stringify(frame),
  decode: (message) => JSON.parse(message as string) as unknown,
});

/** What is used of the package msgpackr. */
export interface Msgpackr {
  readonly Packr: new (options: { sequential: boolean }) => { pack(value: unknown): Uint8Array };
  readonly Unpackr: new (options: { sequential: boolean }) => { unpack(bytes: Uint8Array): unknown };
}

/** Smaller frames, from the package msgpackr, which the caller brings. */
export const msgpackCodec =
  ({ Packr, Unpackr }: Msgpackr) =>
  (): FrameCodec => {
    const packr = new Packr({ sequential: true });
    const unpackr = new Unpackr({ sequential: true });
    return {
      protocol: 'firstlight.msgpack',
      encode: (frame) => packr.pack(frame),
      decode: (message) => unpackr.unpack(message as Uint8Array),
    };
  };
