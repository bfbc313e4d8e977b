/** Which matmul variant runs on which device, and its tile sizes: the one place to change when a device is measured. */
import type { GpuDevice } from './device.ts';
import type { QuantFormat } from './quant/quant-format.ts';

export interface MatmulVariant {
  readonly shader: 'gemv' | 'gemm' | 'matmul-thread';
  readonly constants: Readonly<Record<string, number>>;
  /** Library files that the variant joins. */
  readonly uses: readonly string[];
  /** Weight rows and token rows that one workgroup covers. */
  readonly rowsPerWorkgroup: number;
  readonly tokensPerWorkgroup: number;
}

export type MatmulKind = 'thread' | 'gpu';

const GEMM_TILE = 64;
const THREAD_WORKGROUP_SIZE = 16;

/** Lanes of a subgroup that share the loads of a block of 32 activations, four each. */
const SHARING_LANES = 8;

const canShare = (device: GpuDevice): boolean =>
  device.subgroupMinSize === SHARING_LANES && device.subgroupMaxSize === SHARING_LANES;

/** A second row of wide weights gains nothing over its loads, and doubles the time to compile. */
const threadRows = (format: QuantFormat): number => (format.blockBytes / format.blockLength >= 2 ? 1 : 2);

/** On lavapipe, 4 × 4 gains up to a third over 2 × 4 and doubles the time to compile. */
const threadTile = (device: GpuDevice, rowTile: number, tokenTile: number): MatmulVariant => ({
  shader: 'matmul-thread',
  constants: { ROW_TILE: rowTile, TOKEN_TILE: tokenTile, WORKGROUP_SIZE: THREAD_WORKGROUP_SIZE, LANES: SHARING_LANES },
  uses: [canShare(device) ? 'lib/quads-subgroup' : 'lib/quads-direct'],
  rowsPerWorkgroup: rowTile * THREAD_WORKGROUP_SIZE,
  tokensPerWorkgroup: tokenTile,
});

/**
 * Lanes that share a row: as many as every subgroup surely has, so that they exchange sums without memory; where subgroups
 * are missing or tiny, 32 through workgroup memory.
 */
const gemv = (device: GpuDevice, rowTile: number, tokenTile: number, workgroupSize: number): MatmulVariant => {
  const { subgroupMinSize } = device;
  const lanes = subgroupMinSize >= 8 && subgroupMinSize < 32 ? 8 : 32;
  return {
    shader: 'gemv',
    constants: { ROW_TILE: rowTile, TOKEN_TILE: tokenTile, WORKGROUP_SIZE: workgroupSize, LANES: lanes },
    uses: [subgroupMinSize >= lanes ? 'lib/sum-lanes-subgroup' : 'lib/sum-lanes-workgroup'],
    rowsPerWorkgroup: rowTile * (workgroupSize / lanes),
    tokensPerWorkgroup: tokenTile,
  };
};

const gemm: MatmulVariant = {
  shader: 'gemm',
  constants: {},
  uses: [],
  rowsPerWorkgroup: GEMM_TILE,
  tokensPerWorkgroup: GEMM_TILE,
};

/** Variants with the largest number of token rows each is meant for, ascending; the last serves all numbers above. */
export const matmulVariants = (
  device: GpuDevice,
  format: QuantFormat,
  kind: MatmulKind = device.isSoftware ? 'thread' : 'gpu',
): readonly { readonly maxTokens: number; readonly variant: MatmulVariant }[] =>
  kind === 'thread'
    ? [
        { maxTokens: 1, variant: threadTile(device, threadRows(format), 1) },
        {
          maxTokens: Number.POSITIVE_INFINITY,
          variant: threadTile(device, threadRows(format), canShare(device) ? 4 : 2),
        },
      ]
    : [
        { maxTokens: 1, variant: gemv(device, 2, 1, 64) },
        { maxTokens: 8, variant: gemv(device, 2, 4, 64) },
        { maxTokens: Number.POSITIVE_INFINITY, variant: gemm },
      ];
