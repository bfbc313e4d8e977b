/** Matrix multiplication by a weight matrix: picks a GEMV or a GEMM by the number of rows and the device. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { type BoundKernel, type Grid, Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';
import { type MatmulKind, type MatmulVariant, matmulVariants } from './tuning.ts';
import type { WeightMatrix } from './weight-matrix.ts';

export interface MatmulTensors {
  /** [maxRows, K] f32 or f16. */
  readonly x: Tensor;
  /** [N, K]. */
  readonly weight: WeightMatrix;
  /** [maxRows, stride] f32 or f16, another buffer than x. */
  readonly y: Tensor;
  /** First column of y that is written; 0 when absent. */
  readonly yColumn?: number;
  /** [stride] f32, added to each row of y by column. */
  readonly bias?: Tensor;
}

export interface MatmulOptions {
  /** Kernels for software adapters (`thread`) or for GPUs; absent: by the device. */
  readonly kind?: MatmulKind;
}

/** Records y for the first `numRows` rows. */
export type BoundMatmul = (pass: GPUComputePassEncoder, numRows: number) => void;

/**
 * y[r, yColumn + n] = Σₖ weight[n, k] · x[r, k] + bias[yColumn + n] for r < numRows, summed in F32. One dispatch per shard.
 * @throws EngineError internal when shapes or types disagree
 */
export const bindMatmul = async (
  device: GpuDevice,
  tensors: MatmulTensors,
  options: MatmulOptions = {},
): Promise<BoundMatmul> => {
  const { x, weight, y, yColumn = 0, bias } = tensors;
  checkShapes(tensors);
  const { columns } = weight;
  const maxRows = Math.min(x.shape[0]!, y.shape[0]!);
  const yStride = y.shape[1]!;
  const variants = await Promise.all(
    matmulVariants(device, weight.format, options.kind).map(async ({ maxTokens, variant }) => {
      const kernel = await compileVariant(device, variant, tensors);
      const shards: readonly BoundKernel[] = weight.shards.map(({ streams }) =>
        kernel.bind({ ...streams, x, y, ...(bias ? { bias } : {}) }),
      );
      return { maxTokens, variant, shards };
    }),
  );
  return (pass, numRows) => {
    if (numRows === 0) return;
    if (numRows > maxRows) throw new EngineError('internal', `matmul: ${numRows} rows, bound for ${maxRows}`);
    const { variant, shards } = variants.find(({ maxTokens }) => numRows <= maxTokens)!;
    weight.shards.forEach(({ rowStart, rows }, i) => {
      const parameters = { rows, columns, numTokens: numRows, yStride, yColumn: yColumn + rowStart };
      shards[i]!.dispatch(pass, parameters, gridOf(variant, rows, numRows));
    });
  };
};

const checkShapes = ({ x, weight, y, yColumn = 0, bias }: MatmulTensors): void => {
  const fits =
    x.shape.length === 2 &&
    x.shape[1] === weight.columns &&
    y.shape.length === 2 &&
    yColumn + weight.rows <= y.shape[1]! &&
    (bias === undefined || bias.shape[0] === y.shape[1]);
  if (fits && x.type !== 'u32' && y.type !== 'u32') return;
  throw new EngineError(
    'internal',
    `matmul by ${weight.label} [${weight.rows}, ${weight.columns}]: x is [${x.shape}] ${x.type}, y is [${y.shape}] ${y.type} from column ${yColumn}, bias is [${bias?.shape ?? 'none'}]`,
  );
};

const compileVariant = (
  device: GpuDevice,
  variant: MatmulVariant,
  { x, weight, y, bias }: MatmulTensors,
): Promise<Kernel> => {
  const hasBlocks = weight.columns % 32 === 0;
  const activations = hasBlocks ? 'lib/activations-blocks' : 'lib/activations-any';
  const xAlias: Readonly<Record<string, string>> = hasBlocks
    ? { XQuad: x.type === 'f16' ? 'vec4<f16>' : 'vec4<f32>' }
    : { X: x.type };
  return Kernel.compile(device, variant.shader, {
    uses: [...weight.format.shaders, activations, bias ? 'lib/bias' : 'lib/bias-none', ...variant.uses],
    constants: variant.constants,
    aliases: { ...xAlias, Y: y.type },
  });
};

const gridOf = (variant: MatmulVariant, rows: number, numTokens: number): Grid => {
  const rowGroups = Math.ceil(rows / variant.rowsPerWorkgroup);
  const tokenGroups = Math.ceil(numTokens / variant.tokensPerWorkgroup);
  if (variant.shader === 'gemv') {
    const [x, y = 1] = linearGrid(rowGroups);
    return [x, y, tokenGroups];
  }
  return [rowGroups, tokenGroups];
};
