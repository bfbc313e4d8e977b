/** Rotary position embedding: the table of angles, and the rotation of q and k heads in place. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface RopeTensors {
  /** [maxRows, stride] f32 or f16; rotated in place. */
  readonly x: Tensor;
  /** [maxRows] u32 */
  readonly positions: Tensor;
  /** [maxPositions, rotaryDim / 2, 2] f32: cosine, sine. */
  readonly table: Tensor;
  /** First column of head 0. */
  readonly column: number;
  readonly numHeads: number;
  readonly headDim: number;
  /** The first elements of a head that rotate; the rest stay. Even. */
  readonly rotaryDim: number;
  /** Which elements make a pair: neighbours, or one of each half of the rotated part. */
  readonly layout: 'interleaved' | 'half';
}

const WORKGROUP_SIZE = 64;

/**
 * Rotates pair i of each head by the angle of the row's position: (a, b) → (a cos − b sin, b cos + a sin).
 * Source: Su et al. 2021, equation 34.
 */
export const bindRope = async (
  device: GpuDevice,
  { x, positions, table, column, numHeads, headDim, rotaryDim, layout }: RopeTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const kernel = await Kernel.compile(device, 'rope', {
    constants: {
      WORKGROUP_SIZE,
      HEAD_DIM: headDim,
      NUM_HEADS: numHeads,
      NUM_PAIRS: rotaryDim / 2,
      INTERLEAVED: layout === 'interleaved',
    },
    aliases: { Act: x.type },
  });
  const bound = kernel.bind({ x, positions, table });
  const stride = x.shape[1]!;
  const pairsPerRow = (numHeads * rotaryDim) / 2;
  return (pass, numRows) => {
    const numPairs = numRows * pairsPerRow;
    bound.dispatch(pass, { numPairs, stride, column }, linearGrid(Math.ceil(numPairs / WORKGROUP_SIZE)));
  };
};

export interface RopeTableOptions {
  readonly rotaryDim: number;
  readonly numPositions: number;
  /** Base of the wavelengths' geometric row: `rope.freq_base`. */
  readonly base: number;
  /** [rotaryDim / 2] divisors of the frequencies: `rope_freqs.weight`, or from a scaling's formula. */
  readonly frequencyFactors?: ArrayLike<number>;
  /** Multiplies every cosine and sine; 1 when absent. */
  readonly magnitude?: number;
}

/** Cosine and sine of every position and pair, [numPositions, rotaryDim / 2, 2]; angles are computed in float64. */
export const ropeTable = (options: RopeTableOptions): Float32Array => {
  const { rotaryDim, numPositions, base, frequencyFactors, magnitude = 1 } = options;
  const numPairs = rotaryDim / 2;
  const table = new Float32Array(numPositions * numPairs * 2);
  for (let pair = 0; pair < numPairs; pair++) {
    const frequency = base ** ((-2 * pair) / rotaryDim) / (frequencyFactors?.[pair] ?? 1);
    for (let position = 0; position < numPositions; position++) {
      const at = (position * numPairs + pair) * 2;
      table[at] = magnitude * Math.cos(position * frequency);
      table[at + 1] = magnitude * Math.sin(position * frequency);
    }
  }
  return table;
};
