/** Random weights already in a GGUF type's blocks: random quants under scales that give them a wanted size. */
import { GGML_TYPES } from '../src/runtime/weights/ggml-type.ts';

/** Uniform numbers in [0, 1). Source: Tommy Ettinger's mulberry32, public domain. */
export const mulberry32 = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

const floatBits = new Float32Array(1);
const floatWord = new Uint32Array(floatBits.buffer);

/** Rounds a number of magnitude up to 65504 to binary16; ties away from zero, which random weights allow. */
const toHalf = (value: number): number => {
  floatBits[0] = value;
  const word = floatWord[0]!;
  const magnitude = word & 0x7fff_ffff;
  // Below 2^-14 the numbers are multiples of 2^-24: scales of Q6_K lie there.
  if (magnitude < 0x3880_0000) return ((word >>> 16) & 0x8000) | Math.round(Math.abs(value) * 2 ** 24);
  return ((word >>> 16) & 0x8000) | ((magnitude - 0x3800_0000 + 0x1000) >>> 13);
};

/** Writes the scales of the block at `at`, so that its weights lie within about ±`size` around zero. */
type WriteScales = (bytes: Buffer, at: number, size: number) => void;

/** F16 numbers at these offsets, each `size` times its factor. */
const halves =
  (...factors: readonly (readonly [offset: number, factor: number])[]): WriteScales =>
  (bytes, at, size) => {
    for (const [offset, factor] of factors) bytes.writeUInt16LE(toHalf(size * factor), at + offset);
  };

/** K-quants: what scales and minima are multiplied by, for mean scales of `mean` and quants up to `top`. */
const affine = (scaleAt: number, minimumAt: number, mean: number, top: number): WriteScales =>
  halves([scaleAt, 2 / (mean * top)], [minimumAt, 1 / mean]);

/** By type: where the scales are. Source: ggml-common.h. */
const SCALES: Readonly<Record<string, WriteScales>> = {
  q8_0: halves([0, 1 / 127]),
  q4_0: halves([0, 1 / 8]),
  q4_1: halves([0, 2 / 15], [2, -1]),
  q5_0: halves([0, 1 / 16]),
  q5_1: halves([0, 2 / 31], [2, -1]),
  q2_k: affine(80, 82, 7.5, 3),
  q3_k: halves([108, 1 / (16 * 4)]),
  q4_k: affine(0, 2, 31.5, 15),
  q5_k: affine(0, 2, 31.5, 31),
  q6_k: halves([208, 1 / (64 * 32)]),
  iq4_nl: halves([0, 1 / 127]),
  iq4_xs: halves([0, 1 / (16 * 127)]),
  mxfp4: (bytes, at, size) => {
    bytes[at] = 127 + Math.round(Math.log2(size / 6));
  },
};

export type WeightType = 'f32' | 'f16' | 'bf16' | keyof typeof SCALES;

export const WEIGHT_TYPES: readonly WeightType[] = ['f32', 'f16', 'bf16', ...Object.keys(SCALES)];

const [TYPE_IDS, TYPES] = [new Map<string, number>(), new Map<string, { blockLength: number; blockBytes: number }>()];
for (const [id, type] of GGML_TYPES) {
  TYPE_IDS.set(type.name.toLowerCase(), id);
  TYPES.set(type.name.toLowerCase(), type);
}

/** GGUF's number of the type. */
export const typeIdOf = (type: WeightType): number => TYPE_IDS.get(type)!;

/** Weights that a row must be a multiple of. */
export const blockLengthOf = (type: WeightType): number => TYPES.get(type)!.blockLength;

export const bytesOf = (type: WeightType, numWeights: number): number =>
  (numWeights / TYPES.get(type)!.blockLength) * TYPES.get(type)!.blockBytes;

/** Random bytes are drawn once and copied from random places: drawing gigabytes one by one takes minutes. */
const POOL_BYTES = 4 * 1024 * 1024;
const POOL_RUN = 4096;

/** Draws blocks of one type and size; the same for the same seed. */
export class RandomBlocks {
  readonly #random: () => number;
  readonly #pool: Buffer;

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    this.#pool = Buffer.alloc(POOL_BYTES);
    for (let at = 0; at < POOL_BYTES; at++) this.#pool[at] = this.#random() * 256;
  }

  /** `size`: largest magnitude of uniform weights; 0: all ones. */
  draw(type: WeightType, numWeights: number, size: number): Buffer {
    const bytes = Buffer.alloc(bytesOf(type, numWeights));
    const weight = (): number => (size === 0 ? 1 : (this.#random() * 2 - 1) * size);
    if (type === 'f32') for (let at = 0; at < bytes.length; at += 4) bytes.writeFloatLE(weight(), at);
    else if (type === 'f16') for (let at = 0; at < bytes.length; at += 2) bytes.writeUInt16LE(toHalf(weight()), at);
    else if (type === 'bf16') {
      for (let at = 0; at < bytes.length; at += 2) {
        floatBits[0] = weight();
        bytes.writeUInt16LE(floatWord[0]! >>> 16, at);
      }
    } else this.#drawBlocks(bytes, type, size);
    return bytes;
  }

  #drawBlocks(bytes: Buffer, type: WeightType, size: number): void {
    for (let at = 0; at < bytes.length; at += POOL_RUN) {
      const from = Math.floor(this.#random() * (POOL_BYTES - POOL_RUN));
      this.#pool.copy(bytes, at, from, from + POOL_RUN);
    }
    const writeScales = SCALES[type]!;
    const { blockBytes } = TYPES.get(type)!;
    for (let at = 0; at < bytes.length; at += blockBytes) writeScales(bytes, at, size);
  }
}
