/** Spreads what single columns of a head hold over all of them, so that a quantized cache loses less of it. */
import type { GpuDevice } from './device.ts';
import { Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';

export interface HadamardTensors {
  /** [maxRows, stride] f32 or f16; multiplied in place. */
  readonly x: Tensor;
  /** First column of head 0; the other heads follow. */
  readonly column: number;
  readonly numHeads: number;
  /** A multiple of 8. */
  readonly headDim: number;
}

const WORKGROUP_SIZE = 16;
/** Columns that share a scale in the cache: a wider matrix gains nothing. */
const MAX_SIZE = 32;

/** Order of the matrix: the largest power of two up to 32 that divides the head. */
export const hadamardSize = (headDim: number): number => Math.min(MAX_SIZE, headDim & -headDim);

/**
 * Multiplies every `hadamardSize(headDim)` columns of each head by the orthonormal Hadamard matrix of that order: dot products
 * of two heads that both went through it stay what they were. Source: Ashkboos et al. 2024, QuaRot, section 4.
 */
export const bindHadamard = async (
  device: GpuDevice,
  { x, column, numHeads, headDim }: HadamardTensors,
): Promise<(pass: GPUComputePassEncoder, numRows: number) => void> => {
  const size = hadamardSize(headDim);
  const partsPerRow = (numHeads * headDim) / size;
  const kernel = await Kernel.compile(device, 'hadamard', {
    constants: { WORKGROUP_SIZE, SIZE: size, PARTS_PER_ROW: partsPerRow },
    aliases: { Act: x.type },
  });
  const bound = kernel.bind({ x });
  const stride = x.shape[1]!;
  return (pass, numRows) => {
    const numParts = numRows * partsPerRow;
    bound.dispatch(pass, { numParts, stride, column }, linearGrid(Math.ceil(numParts / WORKGROUP_SIZE)));
  };
};
