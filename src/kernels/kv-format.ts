/** How K and V lie in the paged cache. A page is one KV head's part of a block; a block's pages are neighbours. */
import type { GpuDevice } from './device.ts';
import { createTensor, type Tensor } from './tensor.ts';

/** `q8` and `q4` keep signed levels of 8 and 4 bits, and a BF16 scale for every 32 columns of a head. */
export const KV_FORMATS = ['f32', 'f16', 'q8', 'q4'] as const;

export type KvFormat = (typeof KV_FORMATS)[number];

/** Heads of 8 · n columns and blocks of 4 · n slots, unless the format is a float. */
export interface KvBlockShape {
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly blockSize: number;
}

const BITS: Readonly<Record<KvFormat, number>> = { f32: 32, f16: 16, q8: 8, q4: 4 };

/** Columns that share a scale; a head's last group may be shorter. */
export const KV_GROUP_LENGTH = 32;

export const isQuantized = (format: KvFormat): format is 'q8' | 'q4' => format === 'q8' || format === 'q4';

/** A page's parts, under the names that shaders give them. Sizes in 32-bit words. */
export const kvPage = (format: KvFormat, { blockSize, headDim }: Pick<KvBlockShape, 'blockSize' | 'headDim'>) => {
  /** Scales of a slot. */
  const KV_GROUPS = isQuantized(format) ? Math.ceil(headDim / KV_GROUP_LENGTH) : 0;
  /** All slots' columns; the scales follow. */
  const COLUMN_WORDS = (blockSize * headDim * BITS[format]) / 32;
  const PAGE_WORDS = COLUMN_WORDS + (blockSize * KV_GROUPS) / 2;
  return { KV_BITS: BITS[format], KV_GROUP_LENGTH, KV_GROUPS, COLUMN_WORDS, PAGE_WORDS };
};

/** Bytes of one layer's K in a block, or of its V. */
export const kvBlockBytes = (format: KvFormat, shape: KvBlockShape): number =>
  shape.numKvHeads * kvPage(format, shape).PAGE_WORDS * 4;

/**
 * Allocates one layer's K or V, zeroed: [numBlocks, numKvHeads, blockSize, headDim] f32 or f16, else [numBlocks,
 * numKvHeads, words of a page] u32. Block b begins at byte b · kvBlockBytes.
 * @throws EngineError out_of_memory
 */
export const createKvCache = (
  device: GpuDevice,
  format: KvFormat,
  numBlocks: number,
  shape: KvBlockShape,
  label: string,
): Promise<Tensor> =>
  isQuantized(format)
    ? createTensor(device, 'u32', [numBlocks, shape.numKvHeads, kvPage(format, shape).PAGE_WORDS], label)
    : createTensor(device, format, [numBlocks, shape.numKvHeads, shape.blockSize, shape.headDim], label);
