/** Matrix multiplication by a weight matrix: picks a GEMV or a GEMM by the number of rows and the device. */
import { EngineError } from '../runtime/errors.ts';
import type { GpuDevice } from './device.ts';
import { type BoundKernel, type Grid, Kernel, linearGrid } from './kernel.ts';
import type { Tensor } from './tensor.ts';
import { type MatmulKind, type MatmulVariant, matmulVariants } from './tuning.ts';
import type { WeightMatrix } from './weight-matrix.ts';

/** Sends each row of y through the weights of one expert. */
export interface ExpertRouting {
  /** u32 [numExperts + 1 + rows of y]: as `bindExpertRoutes` leaves them. */
  readonly routes: Tensor;
  /** The weight matrix has the experts' rows under each other, as many for each. */
  readonly numExperts: number;
  /** Experts a token goes to, each with a row of y. */
  readonly expertsPerToken: number;
  /** Rows of x: one a token, or one a token and expert as in y. */
  readonly xRows: 'per-token' | 'per-expert';
}

export interface MatmulTensors {
  /** [maxRows, K] f32 or f16. */
  readonly x: Tensor;
  /** [N, K]; with routing [numExperts · N, K]. */
  readonly weight: WeightMatrix;
  /** [maxRows, stride] f32 or f16, another buffer than x. */
  readonly y: Tensor;
  /** First column of y that is written; 0 when absent. */
  readonly yColumn?: number;
  /** f32 [stride], added to each row of y by column; with routing [numExperts · N], each expert's own. */
  readonly bias?: Tensor;
  readonly routing?: ExpertRouting;
}

export interface MatmulOptions {
  /** Kernels for software adapters (`thread`) or for GPUs; absent: by the device. */
  readonly kind?: MatmulKind;
}

/** Records y for the first `numTokens` tokens: as many rows, with routing `expertsPerToken` times as many. */
export type BoundMatmul = (pass: GPUComputePassEncoder, numTokens: number) => void;

/**
 * y[r, yColumn + n] = Σₖ weight[n, k] · x[r, k] + bias[yColumn + n] for r < numTokens, summed in F32. With routing, row r of
 * y takes the weights, and the bias, of the expert that `routes` lists it under. One dispatch per shard.
 * @throws EngineError internal when shapes or types disagree
 */
export const bindMatmul = async (
  device: GpuDevice,
  tensors: MatmulTensors,
  options: MatmulOptions = {},
): Promise<BoundMatmul> => {
  const { x, weight, y, yColumn = 0, bias, routing } = tensors;
  checkShapes(tensors);
  const { columns } = weight;
  const rowsPerToken = routing?.expertsPerToken ?? 1;
  const xRowsPerToken = routing?.xRows === 'per-expert' ? rowsPerToken : 1;
  const maxTokens = Math.min(x.shape[0]! / xRowsPerToken, y.shape[0]! / rowsPerToken);
  const numExperts = routing?.numExperts ?? 1;
  const extra = { ...(bias ? { bias } : {}), ...(routing ? { routes: routing.routes } : {}) };
  const variants = await Promise.all(
    matmulVariants(device, weight.format, options.kind).map(async ({ maxTokens: limit, variant }) => {
      const kernel = await compileVariant(device, variant, tensors);
      const shards: readonly BoundKernel[] = weight.shards.map(({ streams }) =>
        kernel.bind({ ...streams, x, y, ...extra }),
      );
      return { limit, variant, shards };
    }),
  );
  return (pass, numTokens) => {
    if (numTokens === 0) return;
    if (numTokens > maxTokens) throw new EngineError('internal', `matmul: ${numTokens} rows, bound for ${maxTokens}`);
    const numRows = numTokens * rowsPerToken;
    const rowsPerExpert = Math.ceil(numRows / numExperts);
    const { variant, shards } = variants.find(({ limit }) => rowsPerExpert <= limit)!;
    weight.shards.forEach(({ rowStart, rows }, i) => {
      const columnStart = routing ? yColumn : yColumn + rowStart;
      const parameters = {
        rows,
        columns,
        numTokens: numRows,
        yStride: y.shape[1]!,
        yColumn: columnStart,
        firstRow: rowStart,
      };
      const outputs = routing ? weight.rows / numExperts : rows;
      shards[i]!.dispatch(pass, parameters, gridOf(variant, outputs, tileCount(variant, numRows, routing)));
    });
  };
};

const checkShapes = ({ x, weight, y, yColumn = 0, bias, routing }: MatmulTensors): void => {
  const outputs = weight.rows / (routing?.numExperts ?? 1);
  const fits =
    x.shape.length === 2 &&
    x.shape[1] === weight.columns &&
    y.shape.length === 2 &&
    Number.isInteger(outputs) &&
    yColumn + outputs <= y.shape[1]! &&
    (bias === undefined || bias.shape[0] === (routing ? weight.rows : y.shape[1]));
  if (fits && x.type !== 'u32' && y.type !== 'u32') return;
  throw new EngineError(
    'internal',
    `matmul by ${weight.label} [${weight.rows}, ${weight.columns}]: x is [${x.shape}] ${x.type}, y is [${y.shape}] ${y.type} from column ${yColumn}, bias is [${bias?.shape ?? 'none'}]`,
  );
};

const compileVariant = (
  device: GpuDevice,
  variant: MatmulVariant,
  { x, weight, y, bias, routing }: MatmulTensors,
): Promise<Kernel> => {
  const hasBlocks = weight.columns % 32 === 0;
  const activations = hasBlocks ? 'lib/activations-blocks' : 'lib/activations-any';
  const xAlias: Readonly<Record<string, string>> = hasBlocks
    ? { XQuad: x.type === 'f16' ? 'vec4<f16>' : 'vec4<f32>' }
    : { X: x.type };
  const experts = routing && {
    NUM_EXPERTS: routing.numExperts,
    ROWS_PER_EXPERT: weight.rows / routing.numExperts,
    Y_ROWS_PER_X_ROW: routing.xRows === 'per-token' ? routing.expertsPerToken : 1,
  };
  return Kernel.compile(device, variant.shader, {
    uses: [
      ...weight.format.shaders,
      activations,
      bias ? 'lib/bias' : 'lib/bias-none',
      routing ? 'lib/tokens-routed' : 'lib/tokens-all',
      ...variant.uses,
    ],
    constants: { ...variant.constants, ...experts },
    aliases: { ...xAlias, Y: y.type },
  });
};

/** Tiles of rows of y. How the experts share them is known on the device only: at worst, each ends with a tile of its own. */
const tileCount = ({ tokensPerWorkgroup }: MatmulVariant, numRows: number, routing?: ExpertRouting): number =>
  routing
    ? Math.floor(numRows / tokensPerWorkgroup) + Math.min(routing.numExperts, numRows)
    : Math.ceil(numRows / tokensPerWorkgroup);

const gridOf = (variant: MatmulVariant, outputs: number, numTiles: number): Grid => {
  const rowGroups = Math.ceil(outputs / variant.rowsPerWorkgroup);
  if (variant.shader === 'gemv') {
    const [x, y = 1] = linearGrid(rowGroups);
    return [x, y, numTiles];
  }
  return [rowGroups, numTiles];
};
