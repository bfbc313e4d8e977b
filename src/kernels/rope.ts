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
  /** [rotaryDim / 2] divisors of the frequencies: `rope_freqs.weight`, or from `llama3FrequencyFactors`. */
  readonly frequencyFactors?: Float32Array;
}

/** Cosine and sine of every position and pair, [numPositions, rotaryDim / 2, 2]; angles are computed in float64. */
export const ropeTable = ({ rotaryDim, numPositions, base, frequencyFactors }: RopeTableOptions): Float32Array => {
  const numPairs = rotaryDim / 2;
  const table = new Float32Array(numPositions * numPairs * 2);
  for (let pair = 0; pair < numPairs; pair++) {
    const frequency = base ** ((-2 * pair) / rotaryDim) / (frequencyFactors?.[pair] ?? 1);
    for (let position = 0; position < numPositions; position++) {
      const at = (position * numPairs + pair) * 2;
      table[at] = Math.cos(position * frequency);
      table[at + 1] = Math.sin(position * frequency);
    }
  }
  return table;
};

export interface Llama3Scaling {
  readonly rotaryDim: number;
  readonly base: number;
  /** `factor`: how far the longest wavelengths are stretched. */
  readonly factor: number;
  /** `low_freq_factor` */
  readonly lowFrequencyFactor: number;
  /** `high_freq_factor` */
  readonly highFrequencyFactor: number;
  /** `original_max_position_embeddings`, in tokens. */
  readonly originalContext: number;
}

/**
 * Divisors of the frequencies for Llama 3.1 and later: long wavelengths are stretched by `factor`, short ones stay, and
 * those between are blended.
 * Source: Meta's `apply_scaling` in llama-models, models/llama3.
 */
export const llama3FrequencyFactors = (scaling: Llama3Scaling): Float32Array => {
  const { rotaryDim, base, factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  return Float32Array.from({ length: rotaryDim / 2 }, (_, pair) => {
    const wavelength = 2 * Math.PI * base ** ((2 * pair) / rotaryDim);
    const turns = originalContext / wavelength;
    if (turns > highFrequencyFactor) return 1;
    if (turns < lowFrequencyFactor) return factor;
    const blend = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - blend) / factor + blend);
  });
};
